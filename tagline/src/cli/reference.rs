//! `docs/commands.md`: every command with its flags, written from the command line's own definition.
//!
//! The page is checked in, so that it can be read and searched; the test holds it against the program.
//! `TAGLINE_WRITE_DOCS=1 cargo test -p tagline command_reference` writes it anew.

use super::Cli;
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use std::fmt::Write as _;
use std::path::Path;

const INTRODUCTION: &str = "\
# Commands

<!-- Written from the program's own definition: TAGLINE_WRITE_DOCS=1 cargo test -p tagline command_reference -->

What every command is for is told by the guide, starting with [Running it](running.md); this page lists all flags, as `--help` does.
A flag wins over its environment variable, the variable over the [`Settings`](settings.md) object.
";

fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut page = INTRODUCTION.to_owned();
    if let Some(after) = cli.get_after_help() {
        let _ = write!(page, "\n{}\n", after.to_string().replace('\n', "\n\n"));
    }
    page.push_str("\n## Flags of every command\n\n");
    table(
        &mut page,
        cli.get_arguments().filter(|arg| arg.is_global_set()),
    );
    for command in shown(&cli) {
        section(&mut page, command, "tagline", 2);
    }
    page
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

fn section(page: &mut String, command: &Command, parent: &str, level: usize) {
    let path = format!("{parent} {}", command.get_name());
    let _ = write!(page, "\n{} `{path}`\n\n", "#".repeat(level));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let _ = write!(page, "{about}.\n\n");
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let _ = write!(page, "```text\n{usage}\n```\n");
    let own = || {
        command
            .get_arguments()
            .filter(|arg| !arg.is_global_set() && arg.get_id() != "help" && !arg.is_hide_set())
    };
    // In the order of their first flag: without a heading first.
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in own() {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    headings.sort_by_key(Option::is_some);
    for heading in headings {
        match heading {
            Some(heading) => {
                let _ = write!(page, "\n{heading}:\n\n");
            }
            None => page.push('\n'),
        }
        table(page, own().filter(|arg| arg.get_help_heading() == heading));
    }
    if let Some(after) = command.get_after_help() {
        let _ = write!(page, "\n```text\n{}\n```\n", after.to_string().trim_end());
    }
    for command in shown(command) {
        section(page, command, &path, level + 1);
    }
}

fn table<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    page.push_str("| flag | meaning | environment |\n|---|---|---|\n");
    for arg in args {
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            cell(&format!("`{}`", flag(arg))),
            cell(&meaning(arg)),
            arg.get_env()
                .map(|name| format!("`{}`", name.display()))
                .unwrap_or_default(),
        );
    }
}

fn flag(arg: &Arg) -> String {
    let value = arg.get_value_names().map_or(String::new(), |names| {
        let names: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
        names.join(" ")
    });
    if arg.is_positional() {
        return value;
    }
    let mut flag = String::new();
    if let Some(short) = arg.get_short() {
        let _ = write!(flag, "-{short}, ");
    }
    let _ = write!(flag, "--{}", arg.get_long().unwrap_or_default());
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if takes_value {
        let optional = arg
            .get_num_args()
            .is_some_and(|number| number.min_values() == 0);
        let _ = if optional {
            write!(flag, "[={value}]")
        } else {
            write!(flag, " {value}")
        };
    }
    flag
}

fn meaning(arg: &Arg) -> String {
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    // A switch that may be given `=false` needs no list.
    let is_switch = values == ["`true`", "`false`"];
    if !values.is_empty() && !is_switch {
        let _ = write!(meaning, ": {}", values.join(", "));
    }
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let _ = write!(meaning, " [default: {}]", defaults.join(" "));
    }
    meaning
}

/// A table's cell ends at a bar, wherever it stands.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[test]
fn command_reference_is_what_the_program_has() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let page = page();
    if std::env::var_os("TAGLINE_WRITE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap();
    let differs = page
        .lines()
        .zip(written.lines())
        .position(|(new, old)| new != old);
    assert!(
        page == written,
        "docs/commands.md is not what the program has (line {:?}): write it anew with\n  \
         TAGLINE_WRITE_DOCS=1 cargo test -p tagline command_reference",
        differs.map(|line| line + 1)
    );
}
