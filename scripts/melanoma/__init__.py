"""The workflow's library: one module per subject, importing downwards only."""

from melanoma.common.compiled_code import keep_whole_files_only

keep_whole_files_only()
