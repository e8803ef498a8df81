//! What a forge may answer besides the wished for: limits, refusals, redirects, nonsense; and that no secret gets out.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tagline_testservers::{HttpServer, Response};
use tagline_updater::forge::{
    ConnectOptions, Connection, Credentials, ForgeError, MergeMethod, Provider, PullRequestOptions,
    RepositoryAddress, SetUp, bring_about, connect, survey,
};

use super::fake::{Fake, TOKEN, now, options};
use super::{change, commit, request, wanted};

type Headers = Vec<(&'static str, String)>;

async fn answered(
    provider: Provider,
    status: u16,
    headers: Headers,
    body: &str,
) -> (Fake, ForgeError) {
    let fake = Fake::start(provider);
    fake.repo().canned.push((status, headers, body.to_owned()));
    let error = fake.client().open("main").await.unwrap_err();
    (fake, error)
}

/// Everything that could reach a log, a status or a user.
fn shown(error: &ForgeError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, " {error} {error:?}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn refusals_say_what_is_missing_and_never_the_token() {
    let echo = format!("{{\"message\": \"Bad token {TOKEN}\"}}");
    for provider in Provider::ALL {
        for (status, reason, retryable) in [
            (400, "PullRequestRejected", false),
            (401, "AuthenticationFailed", false),
            (203, "AuthenticationFailed", false),
            (403, "AccessDenied", false),
            (404, "NotFound", false),
            (301, "RepositoryMoved", false),
            (429, "RateLimited", true),
            (500, "ForgeUnavailable", true),
            (503, "ForgeUnavailable", true),
        ] {
            let (_, error) = answered(provider, status, Vec::new(), &echo).await;
            assert_eq!(
                (error.reason(), error.is_retryable()),
                (reason, retryable),
                "{provider} {status}"
            );
            let text = shown(&error);
            assert!(!text.contains(TOKEN), "{text}");
            assert!(text.starts_with(&provider.to_string()), "{text}");
            if matches!(status, 403 | 404) {
                assert!(
                    text.contains("permission") || text.contains("scope"),
                    "{text}"
                );
            }
        }
    }
}

/// Who may open a merge request may not always merge it; GitLab answers 401 then, as to a bad token.
#[tokio::test]
async fn gitlab_refuses_to_merge_not_the_token() {
    let fake = Fake::start(Provider::GitLab);
    fake.repo().set_branch("u", &commit(1));
    fake.repo().plant("u", "Update", "");
    let opened = fake.client().open("main").await.unwrap();
    let body = "{\"message\": \"401 Unauthorized\"}".to_owned();
    fake.repo().canned.push((401, Vec::new(), body));
    let set_up = SetUp {
        auto_merge: Some(MergeMethod::Merge),
        ..SetUp::default()
    };
    let error = fake.client().set_up(&opened[0], &set_up).await.unwrap_err();
    assert_eq!(error.reason(), "AccessDenied");
    assert!(error.to_string().contains("right to merge"), "{error}");
}

#[tokio::test]
async fn nonsense_is_an_error() {
    let (_, error) = answered(Provider::GitHub, 200, Vec::new(), "<html>").await;
    assert!(matches!(error, ForgeError::Malformed { .. }), "{error:?}");
    let (_, error) = answered(Provider::GitLab, 200, Vec::new(), "[{\"iid\": \"x\"}]").await;
    assert!(matches!(error, ForgeError::Malformed { .. }), "{error:?}");
    let (_, error) = answered(
        Provider::Gitea,
        500,
        Vec::new(),
        &format!("\u{1b}[31m{TOKEN}"),
    )
    .await;
    assert!(!shown(&error).contains('\u{1b}'));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let (_, error) = answered(Provider::GitHub, 200, Vec::new(), &" ".repeat(33 << 20)).await;
    assert!(matches!(error, ForgeError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_takes_the_token_nowhere() {
    let elsewhere = Fake::start(Provider::GitHub);
    for status in [301, 302, 307, 308] {
        let headers = vec![(
            "location",
            format!("{}/api/v3/repositories/7/pulls", elsewhere.address),
        )];
        let (_, error) = answered(Provider::GitHub, status, headers, "").await;
        assert!(matches!(error, ForgeError::Moved { .. }), "{error:?}");
    }
    assert_eq!(elsewhere.repo().requests, 0);
}

#[tokio::test]
async fn endless_pages_end() {
    let fake = Fake::start(Provider::GitHub);
    let next = vec![(
        "link",
        format!("<{}/api/v3/x?page=2>; rel=\"next\"", fake.address),
    )];
    fake.repo().canned = vec![(200, next, "[]".to_owned()); 100];
    fake.client().open("main").await.unwrap();
    assert!(fake.repo().requests <= 20, "{}", fake.repo().requests);
}

#[tokio::test]
async fn nothing_is_sent_before_a_limit_is_over() {
    let reset = (now().as_second() + 600).to_string();
    let secondary = "{\"message\": \"You have exceeded a secondary rate limit.\"}";
    let table: [(u16, Headers, &str, i64); 4] = [
        (429, vec![("retry-after", "30".to_owned())], "", 30),
        (
            403,
            vec![
                ("x-ratelimit-remaining", "0".to_owned()),
                ("x-ratelimit-reset", reset.clone()),
            ],
            "",
            600,
        ),
        (403, Vec::new(), secondary, 60),
        // The last allowed request was answered.
        (
            200,
            vec![
                ("x-ratelimit-remaining", "0".to_owned()),
                ("x-ratelimit-reset", reset),
            ],
            "[]",
            600,
        ),
    ];
    for (status, headers, body, seconds) in table {
        let fake = Fake::start(Provider::GitHub);
        fake.repo().canned.push((status, headers, body.to_owned()));
        let clock = Arc::new(Mutex::new(now()));
        let moving = clock.clone();
        let options = ConnectOptions {
            clock: Arc::new(move || -> Timestamp { *moving.lock().unwrap() }),
            ..options()
        };
        let client = fake.client_with(Credentials::Token(SecretString::from(TOKEN)), options);
        let first = client.open("main").await;
        assert_eq!(first.is_ok(), status == 200);
        let until = now() + SignedDuration::from_secs(seconds);
        let error = client.open("main").await.unwrap_err();
        assert_eq!(error.retry_at(), Some(until), "{error}");
        assert_eq!(fake.repo().requests, 1, "the second was not sent");
        *clock.lock().unwrap() = until;
        client.open("main").await.unwrap();
        assert_eq!(fake.repo().requests, 2);
        fake.check();
    }
}

#[tokio::test]
async fn a_limit_in_the_middle_leaves_the_rest_for_later() {
    let fake = Fake::start(Provider::GitHub);
    let names = ["a", "b", "c"];
    for name in names {
        fake.repo().set_branch(name, &commit(1));
    }
    let request = request(
        names
            .map(|name| wanted(name, &commit(1), vec![change(name, "1")]))
            .to_vec(),
    );
    // One page of open ones, one look at each branch; then "b" runs into the limit.
    fake.repo().limit_at = Some(5);
    let report = bring_about(&*fake.client(), &request, &PullRequestOptions::default())
        .await
        .unwrap();
    assert_eq!(report.retry_at, Some(now() + SignedDuration::from_secs(90)));
    assert_eq!((report.created.len(), report.failures.len()), (1, 1));
    assert_eq!(report.outcomes.len(), 3);
    assert_eq!(fake.repo().requests, 6, "nothing after the limit");
    // A later process finds what there is, and does the rest.
    let report = bring_about(&*fake.client(), &request, &PullRequestOptions::default())
        .await
        .unwrap();
    assert_eq!(report.created.len(), 2);
    assert_eq!(fake.repo().pulls.len(), 3);
}

#[tokio::test]
async fn a_silent_forge_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/api/v3", listener.local_addr().unwrap());
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let repository = RepositoryAddress {
        provider: Provider::GitHub,
        api: address.parse().unwrap(),
        owner: "a".to_owned(),
        name: "b".to_owned(),
    };
    let options = ConnectOptions {
        timeout: Duration::from_millis(300),
        ..options()
    };
    let credentials = Credentials::Token(SecretString::from(TOKEN));
    let client = connect(Connection {
        repository,
        credentials,
        options,
    })
    .unwrap();
    let error = client.open("main").await.unwrap_err();
    assert!(
        matches!(error, ForgeError::Transport { .. }) && error.is_retryable(),
        "{error:?}"
    );
    assert!(
        !shown(&error).contains("127.0.0.1"),
        "addresses may hold what is not for everybody: {}",
        shown(&error)
    );
    silent.abort();
}

#[tokio::test]
async fn writes_are_spaced() {
    let fake = Fake::start(Provider::GitHub);
    fake.repo().set_branch("a", &commit(1));
    fake.repo().set_branch("b", &commit(1));
    let interval = Duration::from_millis(150);
    let options = ConnectOptions {
        write_interval: Some(interval),
        ..options()
    };
    let client = fake.client_with(Credentials::Token(SecretString::from(TOKEN)), options);
    let started = tokio::time::Instant::now();
    let request = request(
        ["a", "b"]
            .map(|name| wanted(name, &commit(1), vec![change(name, "1")]))
            .to_vec(),
    );
    bring_about(&*client, &request, &PullRequestOptions::default())
        .await
        .unwrap();
    // A lower bound holds however slow the machine is.
    assert!(started.elapsed() >= interval);
    assert_eq!(fake.repo().pulls.len(), 2);
}

#[tokio::test]
async fn only_the_forge_sees_the_credential_and_nobody_sees_it_printed() {
    for provider in Provider::ALL {
        let fake = Fake::start(provider);
        let request = request(vec![wanted("u", &commit(1), vec![change("web", "1")])]);
        survey(&*fake.client(), &request).await.unwrap();
        let repo = fake.repo();
        assert!(
            repo.authorizations.iter().all(|it| !it.is_empty()),
            "{provider}: {:?}",
            repo.authorizations
        );
    }
    let connection = Connection {
        repository: RepositoryAddress::new("https://user:hunter2@github.com/a/b", None, None)
            .unwrap(),
        credentials: Credentials::Basic {
            username: "u".to_owned(),
            password: SecretString::from(TOKEN),
        },
        options: ConnectOptions {
            proxy: Some("http://u:hunter2@proxy:3128".parse().unwrap()),
            ..options()
        },
    };
    let text = format!("{connection:?}");
    assert!(!text.contains(TOKEN) && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn unknown_reviewers_are_named() {
    let fake = Fake::start(Provider::GitLab);
    fake.repo().set_branch("u", &commit(1));
    let request = request(vec![wanted("u", &commit(1), vec![change("web", "1")])]);
    let options = PullRequestOptions {
        reviewers: vec!["nobody".to_owned()],
        ..PullRequestOptions::default()
    };
    let report = bring_about(&*fake.client(), &request, &options)
        .await
        .unwrap();
    assert_eq!(
        report.failures[0].error.to_string(),
        "GitLab: no user \"nobody\""
    );
    assert_eq!(fake.repo().pulls.len(), 0);
}

#[tokio::test]
async fn a_proxy_gets_its_own_credential_and_the_forge_its_own() {
    let proxy = HttpServer::start(|_| Response::json("[]")).unwrap();
    let options = ConnectOptions {
        proxy: Some(
            format!("http://me:hunter2@{}", proxy.authority())
                .parse()
                .unwrap(),
        ),
        ..options()
    };
    let client = connect(Connection {
        repository: RepositoryAddress {
            provider: Provider::Gitea,
            api: "http://forge.invalid/api/v1".parse().unwrap(),
            owner: "acme".to_owned(),
            name: "apps".to_owned(),
        },
        credentials: Credentials::Token(SecretString::from(TOKEN)),
        options,
    })
    .unwrap();
    assert_eq!(client.open("main").await.unwrap(), []);
    let requests = proxy.requests();
    let request = &requests[0];
    assert!(
        request
            .path
            .starts_with("http://forge.invalid/api/v1/repos/acme/apps/pulls"),
        "{}",
        request.path
    );
    // "me:hunter2"
    assert_eq!(
        request.header("proxy-authorization"),
        Some("Basic bWU6aHVudGVyMg==")
    );
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("token {TOKEN}"))
    );
}
