"""The demonstration cohort: patients and lesions that the workflow draws."""
