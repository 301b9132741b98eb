"""Tables of sources, as one catalog; downloads; the demo's cohort."""
