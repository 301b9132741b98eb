"""The flow of images, Table 1, costs and checklists."""

import pandas as pd

from melanoma.report.data_tables import flow, missing, table_one


def images(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(columns)


TRAIN = images(
    image=["a", "b", "c", "x"],
    patient=["p", "p", "q", "r"],
    target=[1, 0, 0, 0],
    fold=[0, 0, 1, -1],
    age=[40.0, 50.0, None, 60.0],
    sex=["male", "male", "female", None],
)
TEST = images(image=["d", "e"], patient=["s", "t"], target=[1, 0], age=[30.0, 30.0], sex=["male", "female"])


def test_the_flow_counts_rows_images_and_patients_and_names_what_left_it():
    catalog = pd.concat([TRAIN, TEST, images(image=["z"], patient=["u"], target=[0])]).assign(role="study")
    catalog = pd.concat([catalog, images(image=["o", "n"], patient=["o"] * 2, target=[0, -1], role="test")])
    issues = images(
        table=["t"] * 4, row=["1", "1", "2", "9"], problem=["bad age"] * 4, action=["dropped"] * 3 + ["warning"]
    )
    left_out = images(image=["z"], reason=["near-duplicate of a test image"])
    boxes = {box.title: box.lines for box in flow(catalog, issues, left_out, TRAIN, TEST)}
    assert boxes == {
        "Rows of the tables": ["11 rows"],
        "Excluded rows": ["bad age: 2"],
        "Images of the catalog": ["9 images", "7 patients", "2 melanomas", "1 without a label"],
        "Images without a part": ["near-duplicate of a test image: 1"],
        "External sources": ["2 images", "1 patient", "0 melanomas", "1 without a label"],
        "Training": ["4 images", "3 patients", "1 melanoma", "2 folds", "1 of the images are in no fold"],
        "Test": ["2 images", "2 patients", "1 melanoma"],
    }


def test_table_one_has_numbers_and_shares_of_each_part_and_class():
    table = table_one(TRAIN, TEST)
    assert [column.heading for column in table.columns[1:]] == [
        *("Training, benign", "Training, melanoma", "Test, benign", "Test, melanoma")
    ]
    rows = {row[0]: list(map(str, row[1:])) for row in table.rows}
    assert rows["Images"] == ["3", "1", "1", "1"] and rows["Patients"] == ["3", "1", "1", "1"]
    assert rows["Age in years, median (quartiles)"][:2] == ["55 (52.5 to 57.5)", "40 (40 to 40)"]
    assert rows["Sex: male"] == ["1 (33 %)", "1 (100 %)", "0 (0 %)", "1 (100 %)"]
    assert rows["Sex: unknown"] == ["1 (33 %)", "0 (0 %)", "0 (0 %)", "0 (0 %)"]


def test_missing_values_are_counted_by_column():
    assert missing(TRAIN, TEST).rows == [["sex", 1, 0], ["age", 1, 0]]
