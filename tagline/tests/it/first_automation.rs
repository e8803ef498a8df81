//! The README's first automation, file by file and command by command, with a registry and a remote of the test's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use tagline_testservers::{CertificateAuthority, DockerRegistry, GitHttp, Image, require};

use crate::documentation::{fences, repository};

const REGISTRY: &str = "registry.example.com";
const REMOTE: &str = "https://git.example.com/shop/fleet.git";

/// A command of the README; what it printed on standard output.
fn run(directory: &Path, command: &str, authority: &Path) -> String {
    let mut words = command.split('#').next().unwrap().split_whitespace();
    assert_eq!(words.next(), Some("tagline"), "{command}");
    let output = Command::new(env!("CARGO_BIN_EXE_tagline"))
        .args(words)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory)
        .env("SSL_CERT_FILE", authority)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn works_as_the_readme_says() {
    let certificates = CertificateAuthority::new("test");
    let tls = certificates.loopback_server();
    let registry = require!(DockerRegistry::options().with_tls(&tls).start());
    let tags = ["1.0.0", "1.2.0", "1.3.0-rc.1", "2.0.0", "latest"];
    registry.push_tags("shop/app", &tags, &Image::default());
    let server = require!(
        GitHttp::options()
            .with_user("tagline", "an-access-token")
            .start()
    );
    let remote = server.create("fleet");
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    fs::write(&authority, certificates.pem()).unwrap();

    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let fill = |text: &str| {
        text.replace(REGISTRY, &registry.authority())
            .replace(REMOTE, &server.url("fleet"))
    };
    let mut files = 0;
    let mut commands = Vec::new();
    for fence in fences(&readme) {
        if let Some(file) = &fence.file {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, fill(&fence.text)).unwrap();
            files += 1;
        } else if fence.language == "sh" {
            let lines = fence
                .text
                .lines()
                .filter(|line| line.starts_with("tagline "));
            commands.extend(lines.map(str::to_owned));
        }
    }
    assert_eq!((files, commands.len()), (3, 5), "{commands:?}");
    let app = fs::read_to_string(directory.path().join("fleet/apps/app.yaml")).unwrap();
    remote.commit("main", "Deploy", &[("apps/app.yaml", &app)]);

    let run = |index: usize| run(directory.path(), &commands[index], &authority);
    assert!(run(0).contains("valid"));
    let scan = run(1);
    assert!(scan.contains("shop/app") && scan.contains('5'), "{scan}");
    let difference = run(2);
    assert!(difference.contains("+          image: ") && difference.contains("app:1.2.0"));
    let unchanged = fs::read_to_string(directory.path().join("fleet/apps/app.yaml")).unwrap();
    assert_eq!(unchanged, app, "--dry-run changes nothing");

    let report = run(3);
    assert!(report.contains("1 change in "), "{report}");
    let expected = app.replace("app:1.0.0", "app:1.2.0");
    assert_eq!(remote.show("main", "apps/app.yaml"), expected.as_bytes());
    let name = format!("{}/shop/app", registry.authority());
    assert_eq!(
        remote.git(&["log", "-1", "--format=%an <%ae>%n%B", "main"]),
        format!("Tagline <tagline@example.com>\nUpdate images\n\n- {name}:1.0.0 -> {name}:1.2.0")
    );
    assert_eq!(commands[4], "tagline run -f tagline");
}
