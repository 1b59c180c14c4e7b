"""Optional features, called plugins: each has its own folder, with its command, flags and templates.

The rest of the package imports no plugin. A plugin adds to a run through hooks: HOOKS, of hooks.csv, lists the modules,
functions and classes on each hook. To remove a plugin, remove its folder and the lines that name it, as
tests/test_plugins.py does. `annotations`, `near_duplicates`, `domains` and `tars` are shared by plugins.

Other packages add objects to three of the hooks, by entry points of the same names (docs/how-to/extending.md):

- `report_sections`, observers of a run, by the name under which run.json has their results: functions of Options that
  return a `run.request.Observer`, or None if it is not asked for, in the order of the report
- `gate_steps`, steps of the gate, in their order: functions of GateOptions that return a `gate.step.Step`, or None if
  it is not asked for
- `export_forms`, formats of exports: classes like `export.formats.Form`

Only this project adds objects to the other hooks:

- `curate_flags`, flags of clip-curate: modules with the functions `add`, which adds flags to the parser, and `options`,
  which returns the fields of Options that they set, by name; in the order of the help
- `extra_columns`, columns of the manifest that a plugin makes: functions of texts, the row of each text's image, and a
  MATCHED batch
- `file_systems`, by protocol of URLs: classes of fsspec for object stores that are only read. `pinned` turns names that
  may move into names that do not; `names_above_root` is how many names come before the name of a bucket or dataset
- `results`, methods of `run.results.Results` that plugins add, by name: functions of the results and of arguments
- `uploads`, of the folders that commands have written: modules with the functions `add`, `require` and `upload`
"""

from runtime.packages import table_rows

HOOKS: dict[str, dict[str, str]] = {}  # by hook and name, as `module:object`
for _row in table_rows("curation.plugins", "hooks.csv"):
    HOOKS.setdefault(_row["hook"], {})[_row["name"]] = _row["object"]
