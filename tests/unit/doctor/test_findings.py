"""The page of the doctor."""

from melanoma.doctor.findings import fault, faults, note, ok, page, warning


def test_the_page_shows_each_finding_its_cure_and_the_counts():
    findings = [ok("disk", "large"), warning("data", "far", "copy it"), fault("GPU", "none", "take another node")]
    lines = page("This machine", findings).splitlines()
    assert lines[2] == "ok        disk: large"
    assert lines[-4:-2] == ["FAULT     GPU: none", "          Cure: take another node"]
    assert lines[-1] == "Faults: 1, warnings: 1."


def test_only_a_fault_is_a_fault():
    assert faults([fault("GPU", "none", "")]) == ["GPU: none"]
    assert not faults([note("GPU", "far"), warning("disk", "", "")])


def test_a_command_is_not_broken_at_its_hyphens():
    command = "--with-a-long-option" * 8
    assert command in page("", [fault("GPU", f"see {command}", "")])
