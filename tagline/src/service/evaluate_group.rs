//! One evaluation of policies that move together: all get the tags of one version, or none gets any.

use super::created_times::candidate;
use super::evaluate::{Answer, Question, image};
use super::status::Failure;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use tagline_policy::{
    Context, Incomparable, Member, MemberSelection, NoChoice, Tag, select_together,
};
use tagline_scanner::{Scanner, UnpackedTags};

/// The reason of a policy that stays as it is because another of its group cannot move.
pub(super) const GROUP_HELD: &str = "GroupHeld";

/// Evaluates. The answers come in the order of the questions.
pub(super) async fn evaluate_together(
    questions: Vec<Arc<Question>>,
    scanner: Scanner,
) -> Vec<Answer> {
    let mut created = Vec::with_capacity(questions.len());
    let mut failures = Vec::with_capacity(questions.len());
    for question in &questions {
        let times = if question.policy.needs_created() {
            question.created_times(&scanner).await
        } else {
            Ok(HashMap::new())
        };
        match times {
            Ok(times) => {
                created.push(times);
                failures.push(None);
            }
            Err(failure) => failures.push(Some(failure)),
        }
    }
    if created.len() < questions.len() {
        let failures = all_held(&questions, failures);
        return failures.into_iter().map(Answer::failed).collect();
    }
    let chosen = {
        let questions = questions.clone();
        tokio::task::spawn_blocking(move || choose_together(&questions, &created)).await
    };
    let stopped = |why: String| {
        let failed = |_: &Arc<Question>| Answer::failed(Failure::retried("Failure", why.clone()));
        questions.iter().map(failed).collect()
    };
    let selected = match chosen {
        Ok(Ok(selected)) => selected,
        Ok(Err(error)) => return stopped(error.to_string()),
        Err(error) => return stopped(format!("evaluation stopped: {error}")),
    };
    let mut images = Vec::with_capacity(questions.len());
    for (question, selected) in questions.iter().zip(&selected) {
        images.push(match &selected.selection.result {
            Ok(tag) => image(question, &scanner, tag).await,
            Err(no_choice) => Err(match no_choice {
                NoChoice::GroupHeld { .. } => Failure::held(GROUP_HELD, no_choice.to_string()),
                NoChoice::NoCommonVersion { .. } => {
                    Failure::held("NoCommonVersion", no_choice.to_string())
                }
                _ => Failure::retried("Failure", no_choice.to_string()),
            }),
        });
    }
    if !images.iter().all(Result::is_ok) {
        let failures = images.into_iter().map(Result::err).collect();
        images = all_held(&questions, failures)
            .into_iter()
            .map(Err)
            .collect();
    }
    images
        .into_iter()
        .zip(selected)
        .map(|(result, selected)| Answer {
            result,
            counts: (selected.selection.considered, selected.selection.matched),
            recheck_at: selected.selection.recheck_at,
            evaluation: None,
            held_back: selected.held_back,
        })
        .collect()
}

/// Where one policy of a group failed, the others stay as they are.
fn all_held(questions: &[Arc<Question>], failures: Vec<Option<Failure>>) -> Vec<Failure> {
    let by = questions
        .iter()
        .zip(&failures)
        .find_map(|(question, failure)| Some((&question.object.key, failure.as_ref()?)))
        .map(|(key, failure)| format!("the group waits for {}: {}", key.name.name, failure.message))
        .unwrap_or_default();
    failures
        .into_iter()
        .map(|failure| failure.unwrap_or_else(|| Failure::held(GROUP_HELD, &*by)))
        .collect()
}

fn choose_together(
    questions: &[Arc<Question>],
    created: &[HashMap<Tag, Timestamp>],
) -> Result<Vec<MemberSelection>, Incomparable> {
    let tags: Vec<UnpackedTags> = questions.iter().map(|q| q.tags.unpack()).collect();
    let contexts: Vec<Context> = questions.iter().map(|q| q.context()).collect();
    let members: Vec<_> = questions
        .iter()
        .zip(&tags)
        .zip(created)
        .zip(&contexts)
        .map(|(((question, tags), created), context)| Member {
            name: question.object.key.name.name.as_str(),
            policy: &question.policy,
            candidates: tags
                .iter()
                .map(|(tag, first_seen)| candidate(tag, first_seen, created))
                .collect::<Vec<_>>(),
            context,
        })
        .collect();
    select_together(&members)
}
