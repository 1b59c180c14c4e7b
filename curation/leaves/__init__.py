"""Optional features, called leaves: each has its own folder, with its command, flags and templates.

The rest of the package imports no leaf. A leaf adds to a run through hooks: HOOKS lists the modules, functions and
classes on each hook, and other packages add theirs by entry points of the same names. To remove a leaf, remove its
folder and the lines that name it, as tests/test_leaves.py does. `annotations`, `near_duplicates`, `domains` and `tars`
are shared by leaves.
"""

HOOKS = {
    # Flags of clip-curate: modules as `commands.clip_curate.FlagsHook`, in the order of the help.
    "clip_curation.curate_flags": {
        "gate": "curation.leaves.gate.options",
        "alignment": "curation.leaves.report_sections.alignment",
    },
    # Who observes a run, by the name under which run.json has what was seen: functions of Options that return a
    # `run.request.Observer`, or None if it is not asked for, in the order of the report.
    "clip_curation.report_sections": {
        "doubtful": "curation.leaves.report_sections.text_sections:find_doubtful",
        "gate_removed": "curation.leaves.report_sections.text_sections:find_removed",
        "judged": "curation.leaves.gate.judged_texts:find",
        "shape": "curation.leaves.report_sections.text_sections:find_shape",
        "alignment": "curation.leaves.report_sections.alignment:find",
        "tokens": "curation.leaves.report_sections.text_sections:find_tokens",
    },
    # Steps of the gate, in their order: functions of GateOptions that return a `gate.step.Step`, or None if it is not
    # asked for.
    "clip_curation.gate_steps": {
        "captions": "curation.leaves.gate.match_captions:find",
        "hosts": "curation.leaves.gate.hosts:find",
        "conditions": "curation.leaves.gate.single_checks:find",
        "copies": "curation.leaves.gate.deduplication:find_copies",
        "meaning": "curation.leaves.gate.deduplication:find_meaning",
        "domains": "curation.leaves.gate.image_limits:find",
    },
    # Columns of the manifest that a leaf makes: functions of texts, the row of each text's image, and a MATCHED batch.
    "clip_curation.extra_columns": {
        "judgement": "curation.leaves.gate.judge:judgement",
    },
    # Formats of exports: classes as `export.forms.Form`.
    "clip_curation.export_forms": {
        "card": "curation.leaves.export.huggingface:Card",
        "datacomp": "curation.leaves.export.datacomp:DataComp",
        "huggingface": "curation.leaves.export.huggingface:HuggingFace",
        "metaclip": "curation.leaves.export.metaclip:MetaClip",
        "summary": "curation.leaves.disclosure.summary:Summary",
        "webdataset": "curation.leaves.export.webdataset:WebDataset",
    },
    # File systems of URLs, by protocol: classes of fsspec. One with the method `pinned` turns names that may move into
    # names that do not.
    "clip_curation.file_systems": {
        "hf": "curation.leaves.hub.hub_files:HubFiles",
    },
    # Uploads of what commands have written: modules with the functions `add`, `require` and `upload` of the first row.
    "clip_curation.uploads": {
        "hf": "curation.leaves.hub.uploads",
    },
}
