//! What policies answer, and how it is printed.

use super::questions::Question;
use crate::output::{BAD, Column, DIM, GOOD, Output, Table};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use tagline_policy::{
    Context, Explanation, HeldBack, ListOrder, Member, MemberSelection, Selection, Tag, TagVerdict,
    Verdict, explain_together, select_together,
};

/// The result of one policy, as other programs rely on it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// The policy's name, where several were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    /// The image or the file with the tags, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    /// The group that the policy moves with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    pub(super) tag: Option<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    considered: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<usize>,
    /// The newer version that others of the group lack.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_back: Option<Waiting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verdicts: Option<Vec<TagVerdict>>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    tag: Tag,
    version: String,
    lacking: Vec<String>,
}

/// Asks every policy, those of a group together. The answers come in the order of the questions.
pub(super) fn ask(questions: &[Question], explain: bool) -> Vec<Answer> {
    let now = Timestamp::now();
    let mut units: BTreeMap<(Option<&str>, usize), Vec<usize>> = BTreeMap::new();
    for (index, question) in questions.iter().enumerate() {
        let key = match &question.group {
            Some(group) => (Some(group.id.as_str()), 0),
            None => (None, index),
        };
        units.entry(key).or_default().push(index);
    }
    let mut answers: Vec<Option<Answer>> = Vec::new();
    answers.resize_with(questions.len(), || None);
    for unit in units.into_values() {
        let members: Vec<&Question> = unit.iter().filter_map(|at| questions.get(*at)).collect();
        for (at, answer) in unit.iter().zip(ask_unit(&members, explain, now)) {
            if let Some(slot) = answers.get_mut(*at) {
                *slot = Some(answer);
            }
        }
    }
    let named = answers.into_iter().zip(questions);
    named
        .filter_map(|(answer, question)| {
            Some(Answer {
                policy: question.name.as_ref().map(ToString::to_string),
                source: question.source.clone(),
                group: question.group.as_ref().map(|group| group.name.clone()),
                ..answer?
            })
        })
        .collect()
}

/// Asks one policy, or all of a group.
fn ask_unit(questions: &[&Question], explain: bool, now: Timestamp) -> Vec<Answer> {
    let broken = questions
        .iter()
        .find_map(|question| question.group.as_ref()?.broken.clone());
    let without_tags = questions.iter().find_map(|q| {
        Some(format!(
            "{}: {}",
            q.member(),
            q.tags.as_ref().err()?.message
        ))
    });
    if let Some(why) = broken.or(without_tags) {
        let held = format!("the group waits for {why}");
        let answer = |question: &&Question| match &question.tags {
            Err(no_tags) => Answer::none(no_tags.reason, no_tags.message.clone()),
            Ok(_) => Answer::none("group-held", held.clone()),
        };
        return questions.iter().map(answer).collect();
    }
    let contexts: Vec<Context> = questions
        .iter()
        .map(|question| {
            Context::at(now)
                .with_current(question.current.clone())
                .with_order(ListOrder::AsGiven)
        })
        .collect();
    let members: Vec<_> = questions
        .iter()
        .zip(&contexts)
        .filter_map(|(question, context)| {
            Some(Member {
                name: question.member(),
                policy: &question.policy,
                candidates: question.tags.as_ref().ok()?.candidates(),
                context,
            })
        })
        .collect();
    if let [alone] = members.as_slice() {
        let tags = alone.candidates.clone();
        return vec![if explain {
            let explanation = alone.policy.explain(tags, alone.context);
            Answer::of(&explanation.selection, None, Some(explanation.verdicts))
        } else {
            Answer::of(&alone.policy.select(tags, alone.context), None, None)
        }];
    }
    let with_verdicts = |(selected, explanation): (MemberSelection, Explanation)| {
        let verdicts = explanation.verdicts;
        Answer::of(&selected.selection, selected.held_back, Some(verdicts))
    };
    let answers = if explain {
        explain_together(&members).map(|all| all.into_iter().map(with_verdicts).collect())
    } else {
        select_together(&members).map(|all| {
            all.into_iter()
                .map(|selected| Answer::of(&selected.selection, selected.held_back, None))
                .collect()
        })
    };
    answers.unwrap_or_else(|error| {
        let answer = |_: &&Question| Answer::none("incomparable", error.to_string());
        questions.iter().map(answer).collect()
    })
}

impl Answer {
    /// No tag, and why.
    pub(super) fn none(reason: &'static str, message: String) -> Self {
        Self {
            reason: Some(reason),
            message: Some(message),
            ..Self::default()
        }
    }

    fn of(
        selection: &Selection,
        held_back: Option<HeldBack>,
        verdicts: Option<Vec<TagVerdict>>,
    ) -> Self {
        let answer = match &selection.result {
            Ok(tag) => Self {
                tag: Some(tag.clone()),
                considered: Some(selection.considered),
                matched: Some(selection.matched),
                ..Self::default()
            },
            Err(no_choice) => Self::none(no_choice.reason(), no_choice.to_string()),
        };
        Self {
            held_back: held_back.map(|held_back| Waiting {
                tag: held_back.tag,
                version: held_back.version,
                lacking: held_back.lacking,
            }),
            verdicts,
            ..answer
        }
    }

    /// What a person should know beside the tag.
    fn remark(&self) -> String {
        match (&self.message, &self.held_back) {
            (Some(message), _) => message.clone(),
            (None, Some(waiting)) => {
                format!(
                    "{} waits for {}",
                    waiting.version,
                    waiting.lacking.join(", ")
                )
            }
            (None, None) => String::new(),
        }
    }

    fn name(&self) -> &str {
        let source = self.source.as_deref();
        self.policy.as_deref().or(source).unwrap_or_default()
    }
}

/// Prints the answer of the only policy that was asked.
pub(super) fn print_one(answer: &Answer, output: &Output) -> std::io::Result<()> {
    output.print(answer, |out, output| {
        if let Some(tag) = &answer.tag {
            writeln!(out, "{GOOD}{tag}{GOOD:#}")?;
            if answer.held_back.is_some() {
                output.note(&answer.remark());
            }
        } else {
            writeln!(out, "{BAD}no tag is chosen:{BAD:#} {}", answer.remark())?;
        }
        match &answer.verdicts {
            Some(verdicts) => table_of_verdicts(verdicts, out),
            None => Ok(()),
        }
    })
}

/// Prints the answers of several policies.
pub(super) fn print_several(answers: &[Answer], output: &Output) -> std::io::Result<()> {
    output.print(answers, |out, _| {
        let heading = if answers.iter().all(|answer| answer.policy.is_some()) {
            "POLICY"
        } else {
            "TAGS OF"
        };
        let mut table = Table::new([
            Column::Left(heading),
            Column::Left("TAG"),
            Column::Right("CONSIDERED"),
            Column::Right("MATCHED"),
            Column::Flexible("MESSAGE"),
        ]);
        let number =
            |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
        for answer in answers {
            let tag = answer.tag.as_ref().map_or("-", Tag::as_str);
            table
                .row()
                .cell(answer.name())
                .styled(tag, if answer.tag.is_some() { GOOD } else { BAD })
                .cell(number(answer.considered))
                .cell(number(answer.matched))
                .cell(answer.remark());
        }
        table.write(out)?;
        for answer in answers {
            if let Some(verdicts) = &answer.verdicts {
                writeln!(out, "\n{}", answer.name())?;
                table_of_verdicts(verdicts, out)?;
            }
        }
        Ok(())
    })
}

fn table_of_verdicts(verdicts: &[TagVerdict], out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = Table::new([
        Column::Left("TAG"),
        Column::Left("VERDICT"),
        Column::Flexible("WHY"),
    ]);
    for verdict in verdicts {
        let style = match verdict.verdict {
            Verdict::Chosen => GOOD,
            Verdict::Older | Verdict::HeldBack => anstyle::Style::new(),
            _ => DIM,
        };
        table
            .row()
            .cell(verdict.tag.as_str())
            .styled(verdict.verdict.as_str(), style)
            .cell(&verdict.detail);
    }
    table.write(out)
}
