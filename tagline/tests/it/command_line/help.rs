//! Help texts, the version, completion: what a newcomer meets first.

use super::program::Workplace;

#[test]
fn help_texts() {
    let place = Workplace::new();
    insta::assert_snapshot!("help", place.run(&["--help"]).shown());
    for command in ["run", "check", "scan", "tags", "select", "update", "store"] {
        let ended = place.run(&[command, "--help"]);
        insta::assert_snapshot!(format!("help_{command}"), ended.shown());
    }
}

#[test]
fn version_in_every_format() {
    let place = Workplace::new();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        place
            .run(&["version"])
            .stdout
            .starts_with(&format!("tagline {version} ("))
    );
    assert_eq!(
        place.run(&["version", "-o", "json"]).json()["version"],
        version
    );
    assert!(
        place
            .run(&["version", "-o", "yaml"])
            .stdout
            .contains(&format!("version: \"{version}\""))
    );
}

#[test]
fn completion_for_every_shell() {
    let place = Workplace::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = place.run(&["completion", shell]);
        assert_eq!(ended.code, 0);
        assert!(ended.stdout.contains("select"), "{shell}");
    }
}

#[test]
fn bad_usage_is_exit_2_and_names_what_is_meant() {
    let place = Workplace::new();
    for (arguments, expected) in [
        (&["selct"][..], "select"),
        (&["select", "--semvr", "1.x"], "--semver"),
        (&["run"], "-f"),
        (&["check"], "-f"),
        (&["scan"], "--catalog"),
        (&["select"], "--semver"),
        (&["update", "--path", "."], "-f"),
        (&["version", "-o", "xml"], "table, json, yaml"),
        (&["version", "--log-level", "a=b=c"], "--log-level"),
    ] {
        let ended = place.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.shown());
        assert!(
            ended.stderr.contains(expected),
            "{arguments:?}: {}",
            ended.shown()
        );
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[test]
fn colours_only_where_they_are_wanted() {
    let place = Workplace::new();
    let select = ["select", "--semver", "*", "--tags", "-"];
    let plain = place.run_with_input(&select, "1.0.0\n");
    assert_eq!(plain.stdout, "1.0.0\n");
    let mut always = select.to_vec();
    always.extend(["--color", "always"]);
    assert!(
        place
            .run_with_input(&always, "1.0.0\n")
            .stdout
            .contains('\u{1b}')
    );
}
