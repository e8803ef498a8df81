//! Editing files: one marked file, the search for markers, a directory of 20,000 files.

#![expect(clippy::unwrap_used, reason = "a bench stops at what goes wrong")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use tagline_policy::{ImageReference, Tag};
use tagline_updater::directory::{DirectoryOptions, update};
use tagline_updater::edit::{EditOptions, edit, may_hold_markers, scan_markers};
use tagline_updater::message::{Changed, CommitMessage, MessageTemplate};
use tagline_updater::{Choices, PolicyName};

fn image(tag: &str) -> ImageReference {
    ImageReference {
        name: "registry.example.com/team/app".to_owned(),
        tag: Tag::new(tag).unwrap(),
        digest: None,
    }
}

fn choices(policies: usize, tag: &str) -> Choices {
    (0..policies)
        .map(|n| (PolicyName::new("apps", format!("app-{n}")), image(tag)))
        .collect()
}

/// A Deployment of 940 bytes, as large ones in git-driven repositories are.
fn deployment(n: usize, marked: bool) -> String {
    let mut text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{n}\n  namespace: apps\n  labels:\n    app.kubernetes.io/name: app-{n}\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: app-{n}\n  template:\n    metadata:\n      labels:\n        app.kubernetes.io/name: app-{n}\n    spec:\n      containers:\n      - name: app\n        image: registry.example.com/team/app:1.0.0"
    );
    if marked {
        let _ = write!(text, " # {{\"$imagepolicy\": \"apps:app-{n}\"}}");
    }
    text.push_str("\n        ports:\n        - containerPort: 8080\n          name: http\n        resources:\n          requests:\n            cpu: 100m\n            memory: 128Mi\n        livenessProbe:\n          httpGet:\n            path: /healthz\n            port: http\n        env:\n        - name: LOG_LEVEL\n          value: \"info\" # one of debug, info, warn\n");
    text
}

fn one_file(c: &mut Criterion) {
    let text = deployment(0, true);
    let options = EditOptions::default();
    let chosen = choices(1, "1.1.0");
    let mut group = c.benchmark_group("one file of 940 bytes");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("edit", |b| {
        b.iter(|| edit("a.yaml", black_box(text.as_bytes()), &chosen, &options).unwrap());
    });
    group.bench_function("scan_markers", |b| {
        b.iter(|| scan_markers("a.yaml", black_box(text.as_bytes()), &options).unwrap());
    });
    group.finish();
}

fn search(c: &mut Criterion) {
    let text: String = (0..11_000).map(|n| deployment(n, false)).collect();
    let mut group = c.benchmark_group("marker search");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("10 MB without a marker", |b| {
        b.iter(|| may_hold_markers(black_box(text.as_bytes())));
    });
    group.finish();
}

fn tree(root: &Path) {
    for n in 0..20_000 {
        let directory = root.join(format!("{:03}", n / 100));
        fs::create_dir_all(&directory).unwrap();
        let marked = n % 20 == 0;
        let text = deployment(if marked { n / 20 } else { n }, marked);
        fs::write(directory.join(format!("app-{n}.yaml")), text).unwrap();
    }
}

fn directory(c: &mut Criterion) {
    let root = tempfile::tempdir().unwrap();
    tree(root.path());
    let mut group = c.benchmark_group("directory of 20,000 files, 1,000 with markers");
    group.sample_size(10);
    let mut turn = 0;
    let mut run = |policies: usize, dry_run: bool| {
        turn += 1;
        let options = DirectoryOptions {
            dry_run,
            ..DirectoryOptions::default()
        };
        let chosen = choices(policies, &format!("2.0.{turn}"));
        let done = update(root.path(), &chosen, &options).unwrap();
        assert_eq!(done.files.len(), policies);
    };
    group.bench_function("one policy changed", |b| b.iter(|| run(1, false)));
    group.bench_function("1,000 policies changed, dry run", |b| {
        b.iter(|| run(1000, true));
    });
    group.bench_function("1,000 policies changed", |b| b.iter(|| run(1000, false)));
    group.finish();
}

fn message(c: &mut Criterion) {
    let mut changed = Changed::default();
    let options = EditOptions::default();
    for n in 0..100 {
        let text = deployment(n, true);
        let done = edit("a.yaml", text.as_bytes(), &choices(100, "1.1.0"), &options).unwrap();
        changed.add(format!("apps/{n}.yaml"), &done.changes);
    }
    let template = "{{ range $file, $objects := .Changed.FileChanges -}}\n- {{ $file }}\n{{ range $object, $changes := $objects }}{{ $object.Kind | lower }}/{{ $object.Name }}{{ range $changes }} {{ .OldValue }} -> {{ .NewValue }}{{ end }}\n{{ end }}{{ end }}";
    let templated = CommitMessage {
        template: Some(MessageTemplate::parse(template).unwrap()),
        ..CommitMessage::default()
    };
    let mut group = c.benchmark_group("message of 100 changes");
    for (name, message) in [
        ("standard", CommitMessage::default()),
        ("template", templated),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || changed.clone(),
                |changed| message.describe(changed).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, one_file, search, directory, message);
criterion_main!(benches);
