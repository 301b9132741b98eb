"""Training learns, continues after any kill to the same bits, and never trains on its validation images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score

import predict
import quick
import tiny
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_sealed
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preemption
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.work_time import WorkTime
from melanoma.predictions.table import fold_column
from melanoma.training import trainer
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.learner import Learner
from melanoma.training.sampling import epoch_order
from melanoma.training.trainer import Run, train
from small_training import TinyStudy


@pytest.fixture
def study(tmp_path):
    return TinyStudy(tmp_path)


def run_of(study: TinyStudy, recipe=None, epochs=3) -> Run:
    held_out = study.rows["fold"] == 0
    return Run(
        recipe=recipe or tiny.recipe(),
        table=study.rows[~held_out].reset_index(drop=True),
        validation=study.rows[held_out].reset_index(drop=True),
        images=study.images,
        epochs=epochs,
    )


def trained(study: TinyStudy, name="resume", **kwargs):
    run = run_of(study, **kwargs)
    set_up_torch(1)
    return train(run, Checkpoints(study.folder / name, run.stamp()), None, Preemption(None), Processes())


def same_weights(left, right) -> bool:
    return all(torch.equal(left["weights"][name], right["weights"][name]) for name in left["weights"])


class QuarterOfASecond(WorkTime):
    """A step that took a GPU 0.25 s."""

    def seconds(self) -> float:
        return 0.25


def test_the_history_has_the_figures_of_a_gpu_for_each_epoch_and_none_of_a_cpu(study, monkeypatch):
    recipe = tiny.recipe(epochs=2)
    _, history = trained(study, "cpu", recipe=recipe, epochs=2)
    assert history[["images_per_second", "gpu_utilization", "gpu_memory_gb"]].isna().all(axis=None)
    monkeypatch.setattr(trainer, "WorkTime", QuarterOfASecond)
    monkeypatch.setattr(trainer, "gpu_figures", lambda watch, device: {"gpu_utilization": watch.seconds["gpu"]})
    _, history = trained(study, "gpu", recipe=recipe, epochs=2)
    targets = study.rows.loc[study.rows["fold"] != 0, "target"].to_numpy()
    images = len(epoch_order(targets, recipe.sampling, recipe.seed, 0))
    assert history["gpu_utilization"].tolist() == [0.25 * -(-images // recipe.batch_size)] * 2


def test_training_learns_to_separate_the_classes(study):
    _, history = trained(study, recipe=tiny.recipe(epochs=8, optimizer={"learning_rate": 0.02}), epochs=8)
    assert history["validation_auroc"].max() > 0.95
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


@pytest.mark.parametrize("head", ["image_only", "image_and_metadata"])
def test_the_same_recipe_gives_the_same_bits(study, head):
    first, history = trained(study, "one", recipe=tiny.recipe(head=head))
    second, again = trained(study, "two", recipe=tiny.recipe(head=head))
    assert same_weights(first, second)
    pd.testing.assert_frame_equal(history, again, check_exact=True)


@pytest.mark.parametrize("changes", [{}, {"gradient_accumulation_steps": 2, "aux_loss_weight": 0.5}])
def test_the_training_auroc_of_an_epoch_is_that_of_the_logits_of_its_steps(study, monkeypatch, changes):
    learn, steps = Learner.learn, []

    def recording(learner, batch, *place):
        loss, logits = learn(learner, batch, *place)
        steps.append((batch.targets.numpy(), logits.numpy()))
        return loss, logits

    monkeypatch.setattr(Learner, "learn", recording)
    _, history = trained(study, recipe=tiny.recipe(**changes))
    by_epoch = np.array_split(np.arange(len(steps)), len(history))
    expected = [roc_auc_score(*map(np.concatenate, zip(*(steps[i] for i in part), strict=True))) for part in by_epoch]
    np.testing.assert_allclose(history["train_auroc"], expected, rtol=0, atol=1e-12)


def test_another_seed_gives_other_weights(study):
    assert not same_weights(trained(study, "one")[0], trained(study, "two", recipe=tiny.recipe(seed=2))[0])


@pytest.mark.parametrize("stop", [1, 2, 5, 7, 11])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_after_a_stop_at_any_batch_training_continues_to_the_same_bits(study, monkeypatch, stop, ema):
    """Each batch in turn raises what a kill would cut off; at most the two batches of one interval are done again."""
    recipe = tiny.recipe(ema=ema)
    step, taken = torch.optim.Adam.step, []

    def stopping(self, *args, **kwargs):
        if len(taken) == stop - 1:
            raise KeyboardInterrupt
        taken.append(1)
        return step(self, *args, **kwargs)

    def counting(self, *args, **kwargs):
        taken.append(1)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", counting)
    expected, history = trained(study, "whole", recipe=recipe)
    whole = len(taken)
    taken.clear()
    monkeypatch.setattr(torch.optim.Adam, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        trained(study, recipe=recipe)
    monkeypatch.setattr(torch.optim.Adam, "step", counting)
    resumed, again = trained(study, recipe=recipe)
    assert same_weights(expected, resumed)
    pd.testing.assert_frame_equal(history, again, check_exact=True)
    assert len(taken) - whole <= recipe.checkpoint_batches


def test_a_damaged_checkpoint_is_skipped_for_the_one_before(study):
    expected, _ = trained(study, "whole")
    trained(study)
    newest, before = sorted((study.folder / "resume").glob("*.pt"), reverse=True)[:2]
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    newest.write_bytes(damaged)
    before.write_bytes(before.read_bytes()[:-100])
    assert same_weights(expected, trained(study)[0])


def test_what_torch_compiles_is_kept_with_the_checkpoints_for_other_jobs(study, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network: network)
    compiled = b"code", SimpleNamespace(artifacts={"inductor": ["a key"]})
    monkeypatch.setattr(torch.compiler, "save_cache_artifacts", lambda: compiled)
    run = replace(run_of(study, tiny.recipe(compile=True)), compiled=study.folder / "compiled")
    train(run, Checkpoints(study.folder / "resume", run.stamp()), None, Preemption(None), Processes())
    (file,) = run.compiled.iterdir()
    assert read_sealed(file) == b"code"


def test_three_checkpoints_are_kept(study):
    trained(study)
    assert len(list((study.folder / "resume").glob("*.pt"))) == 3


def test_of_two_jobs_with_one_training_the_last_one_continues(study):
    """As after a controller or node was lost: the old job may still run, and must not write beside the new one."""
    old, new = (Checkpoints(study.folder / "resume", "stamp") for _ in range(2))
    old.ownership.claim()
    old.save({"epoch": 1}, step=1)
    new.ownership.claim()
    with pytest.raises(InputError, match="another job has taken over this training"):
        old.save({"epoch": 2}, step=2)
    assert new.load() == {"epoch": 1}
    new.save({"epoch": 3}, step=3)
    old.clear()
    assert new.load() == {"epoch": 3}
    new.clear()
    assert not (study.folder / "resume").exists()
    with pytest.raises(InputError, match="another job"):
        old.save({"epoch": 2}, step=2)


@pytest.mark.parametrize("change", ["recipe", "data", "split", "epochs"])
def test_a_changed_recipe_data_or_split_never_resumes(study, change):
    run = run_of(study)
    stamp = run.stamp()
    if change == "recipe":
        other = run_of(study, recipe=tiny.recipe(batch_size=9))
    elif change == "data":
        tiny.write_store(study.images, study.rows, seed=1)
        other = run_of(study)
    elif change == "split":
        study.rows["fold"] = (study.rows["fold"] + 1) % 3
        other = run_of(study)
    else:
        other = run_of(study, epochs=4)
    assert other.stamp() != stamp
    checkpoints = Checkpoints(study.folder / "resume", stamp)
    checkpoints.ownership.claim()
    checkpoints.save({"epoch": 2}, step=1)
    assert checkpoints.load() == {"epoch": 2}
    assert Checkpoints(study.folder / "resume", other.stamp()).load() is None


def test_a_finished_training_leaves_no_checkpoints(study):
    study.train("run")
    assert not (study.folder / "run" / "resume").exists()


def test_a_seed_option_replaces_the_seed_of_the_recipe(study):
    study.train("beside", "--fold", 0, "--seed", 2)
    recipe = yaml.safe_load((study.folder / "recipe.yaml").read_text())
    (study.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe | {"seed": 2}))
    study.train("within")
    assert study.results("beside") == study.results("within")


def test_a_trial_leaves_its_history_and_no_weights(study):
    inputs = ("--recipe", study.folder / "recipe.yaml", "--train", study.folder / "train.parquet")
    outputs = ("--resume", study.folder / "resume", "--history", study.folder / "history.csv")
    quick.run("train", *inputs, "--images", study.images, "--fold", 0, *outputs)
    study.train("fold-0")
    assert (study.folder / "history.csv").read_text() == (study.folder / "fold-0" / "history.csv").read_text()
    assert not list(study.folder.glob("*.pt")) and not (study.folder / "resume").exists()


def test_the_refit_trains_on_all_for_the_best_epoch_of_the_folds(study):
    (study.folder / "fold.csv").write_text("epoch,validation_auroc,validation_loss\n1,.6,.1\n2,.9,.5\n3,.7,.4\n")
    study.train("refit", "--epochs-from", study.folder / "fold.csv")
    history = pd.read_csv(study.folder / "refit" / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert history["validation_auroc"].isna().all()


def test_the_encoder_is_fitted_on_training_rows_alone(study):
    study.rows.loc[study.rows["fold"] == 0, ["age", "site"]] = [85.0, "only in validation"]
    model, _ = trained(study)
    encoder = MetadataEncoder.from_dict(model["encoder"])
    assert "only in validation" not in encoder.sites
    assert encoder.age_mean == pytest.approx(study.rows.loc[study.rows["fold"] != 0, "age"].mean())


def test_a_missing_gpu_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with pytest.raises(
        InputError,
        match=r"asks for 1 GPU.*job 4711, CUDA_VISIBLE_DEVICES=7.*resources.gpus to the number",
    ):
        compute_device(1, "float32")


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_images(study):
    with pytest.raises(InputError, match=r"not a finite number in epoch 1, batch .*learning_rate.*ISIC_00"):
        trained(study, recipe=tiny.recipe(optimizer={"learning_rate": 1e30}))


def test_a_batch_that_is_larger_than_an_epoch_is_an_error_before_any_epoch(study):
    sixty = tiny.recipe(batch_size=60)  # 40 training images, 30 of them benign: over-sampled they are 60
    assert len(trained(study, recipe=sixty, epochs=1)[1]) == 1
    with pytest.raises(InputError, match="batch_size is 61, and an epoch has 60 images, from 40 training images"):
        trained(study, "other", recipe=tiny.recipe(batch_size=61))


def test_prediction_needs_no_labels_and_covers_the_held_out_fold_and_test(study):
    study.train("run", "--fold", 1)
    weights, out = {"fold-1": study.folder / "run" / "weights.safetensors"}, study.folder / "predicted"
    quick.run("predict", *study.prediction_options(weights, out))
    predictions = pd.read_parquet(out / "runs" / "fold-1.parquet")
    held_out = study.rows[study.rows["fold"] == 1]["image"].tolist()
    assert predictions["image"].tolist() == held_out + [f"TEST_{number}" for number in range(20)]
    assert predictions["fold"].tolist() == [1] * len(held_out) + [-1] * 20
    assert "target" not in predictions
    np.testing.assert_allclose(predictions["probability"], 1 / (1 + np.exp(-predictions["logit"])))
    of_pairs = predictions.loc[predictions["part"] == "train"].groupby("patient")["patient_distance"]
    assert (of_pairs.nunique() == 1).all() and predictions["patient_distance"].between(0, 2).all()
    assert predictions.loc[predictions["part"] == "test", "patient_distance"].nunique() > 1


def test_all_trainings_of_a_model_together_predict_as_each_alone(study):
    for fold in (0, 1):
        study.train(f"fold-{fold}", "--fold", fold)
    study.train("refit", "--epochs-from", study.folder / "fold-0" / "history.csv")
    names, out = ("fold-0", "fold-1", "refit"), study.folder / "together"
    quick.run("predict", *study.prediction_options({n: study.folder / n / "weights.safetensors" for n in names}, out))
    parts = [pd.read_parquet(out / "runs" / f"{name}.parquet") for name in names]
    for name, part in zip(names, parts, strict=True):
        pd.testing.assert_frame_equal(part, study.predict(name))
    rows, images = pd.concat(parts), [f"TEST_{number}" for number in range(20)]
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert predictions["image"].tolist() == rows.loc[rows["part"] == "train", "image"].tolist() + images
    test = predictions.iloc[-20:]
    for name, part in zip(names, parts, strict=True):
        assert test[fold_column(name)].tolist() == part.iloc[-20:]["logit"].tolist()
    assert test["logit"].tolist() == test["logit_fold-refit"].tolist()
    assert not (out / "predicted").exists()


def test_after_a_kill_only_missing_predictions_and_those_of_changed_weights_are_computed(study, monkeypatch):
    study.train("fold-0", "--fold", 0)
    study.train("fold-1", "--fold", 1)
    weights = {name: study.folder / name / "weights.safetensors" for name in ("fold-0", "fold-1")}
    options = study.prediction_options(weights, study.folder / "out")
    predicted = []

    def predict_until(last: int | None) -> None:
        predicted.clear()
        monkeypatch.setattr(predict, "predict", lambda trained, *rest: stopping(last, trained, *rest))
        call(predict, *options)

    def stopping(last, trained, *rest):
        if trained["fold"] == last:
            raise KeyboardInterrupt
        predicted.append(trained["fold"])
        return whole(trained, *rest)

    whole = predict.predict
    with pytest.raises(KeyboardInterrupt):
        predict_until(1)
    assert predicted == [0]
    predict_until(None)
    assert predicted == [1]
    with pytest.raises(KeyboardInterrupt):
        predict_until(1)
    weights["fold-0"].write_bytes(weights["fold-1"].read_bytes())
    predict_until(None)
    assert predicted == [1, 1]
