"""`synthgen config`: look at presets and settings before a run uses them."""

from __future__ import annotations

from typing import Annotated

import typer

from synthgen.commands.options import Color, ColorOption, JsonOption, QuietOption, SetOption
from synthgen.console import command_console

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show presets, settings and their schema.")

SourceArgument = Annotated[
    str | None, typer.Argument(metavar="PRESET|FILE", help="A preset, a YAML file or a run folder.")
]


@app.command("show")
def show(
    source: SourceArgument = None,
    overrides: SetOption = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Print the settings that a run would use, as YAML with their meaning.

    Without PRESET or FILE: the defaults. The output is a valid configuration file.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        from synthgen.config.loading import dump_config, load_config

        config = load_config(source, overrides)
        text = dump_config(config, comments=not quiet, changed_only=changed)
        document = {"source": source, "config": config.model_dump(mode="json", exclude_defaults=changed)}
        console.result(document, lambda: console.line(text.rstrip()), quiet=text.rstrip())


@app.command("schema")
def schema(json: JsonOption = False, quiet: QuietOption = False, color: ColorOption = Color.auto) -> None:
    """Print the JSON schema of configuration files, for completion in editors.

    Save it as synthgen.schema.json beside a configuration that begins with the line
    `# yaml-language-server: $schema=synthgen.schema.json`.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        from json import dumps

        from synthgen.config.dumping import config_schema

        text = dumps(config_schema(), indent=2)
        console.result({"schema": config_schema()}, lambda: console.line(text), quiet=text)


@app.command("list")
def list_presets(json: JsonOption = False, quiet: QuietOption = False, color: ColorOption = Color.auto) -> None:
    """Name the presets that come with synthgen."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        from synthgen.config.presets import preset_names, preset_summary

        presets = {name: preset_summary(name) for name in preset_names()}
        document = {"presets": [{"name": name, "summary": text} for name, text in presets.items()]}
        console.result(
            document,
            lambda: console.table(None, ["preset", "what it is for"], list(presets.items())),
            quiet="\n".join(presets),
        )
        console.next("synthgen config show PRESET")
