"""The benchmark of starts knows the script of every rule that has a job to measure."""

from starts import bodies_of, scripts_of

from project import ROOT


def test_the_script_of_each_measured_rule_is_known():
    measured = {rule for rule, body in bodies_of(ROOT / "rules").items() if "benchmark:" in body}
    assert "audit_models" in measured and measured - set(scripts_of(ROOT / "rules")) == set()
