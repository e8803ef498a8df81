//! `tagline select`: which tag does a policy choose, and why.

use super::ad_hoc;
use super::input::InputArgs;
use super::tag_list::{TagList, read_tag_list};
use crate::cli::GlobalArgs;
use crate::exit::{BadInput, Exit};
use crate::output::{BAD, Column, DIM, GOOD, Output, Table};
use crate::resources::{ImagePolicySpec, ImageRepositorySpec, Object, ObjectName, Resources, Span};
use crate::service::registry_access;
use crate::settings::{RateArgs, ServiceArgs, Settings};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::sync::Arc;
use tagline_policy::{
    Choice, Context, Exclusions, Explanation, FilterTags, Guards, ImageName, ListOrder, Policy,
    PolicySpec, Sortable, Tag, TagVerdict, Unparsable, Verdict,
};
use tagline_scanner::ScanTarget;

/// Flags of `tagline select`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tagline select --semver '>=1.0.0' --tags tags.txt\n  tagline tags ghcr.io/org/app | tagline select --filter '^main-[a-f0-9]+-(?P<ts>[0-9]+)' --extract '$ts' --numerical asc --tags -\n  tagline select -f policies/ --policy apps/podinfo --explain\n  tagline select --suggest --tags tags.txt"
)]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    input: InputArgs,
    /// The ImagePolicy of -f to ask, as NAME or NAMESPACE/NAME; all of them where absent
    #[arg(long, value_name = "NAME", requires = "filename")]
    policy: Option<String>,
    #[command(flatten)]
    written: WrittenPolicy,
    /// Tags to choose from, one per line: a file, or - for standard input; needs no network
    #[arg(long, value_name = "FILE")]
    tags: Option<String>,
    /// An image whose tags are scanned now
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["tags", "filename"])]
    image: Option<String>,
    /// Show the verdict for every tag, or for one
    #[arg(long, value_name = "TAG", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "absent, without a tag, with one: as clap has it"
    )]
    explain: Option<Option<String>>,
    /// Look at the tags and propose policies for them
    #[arg(long, conflicts_with_all = ["filename", "explain"])]
    suggest: bool,
    /// The tag in use now, for --never-downgrade and --same-shape
    #[arg(long, value_name = "TAG")]
    current: Option<String>,
    /// Allow plain http for --image
    #[arg(long, requires = "image")]
    insecure: bool,
    #[command(flatten)]
    registry: RateArgs,
}

/// A policy written as flags.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Policy")]
struct WrittenPolicy {
    /// The newest version in this range
    #[arg(
        long,
        value_name = "RANGE",
        group = "choice",
        allow_hyphen_values = true
    )]
    semver: Option<String>,
    /// The greatest (asc) or smallest (desc) tag by bytes
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    alphabetical: Option<String>,
    /// The greatest (asc) or smallest (desc) tag by value
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    numerical: Option<String>,
    /// The newest image whose tag matches; * is any text
    #[arg(long, value_name = "PATTERN", group = "choice")]
    glob: Option<String>,
    /// By runs of digits and text: rc2 comes before rc11
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    natural: Option<String>,
    /// By the time the image was created: newest (asc) or oldest (desc)
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    created: Option<String>,
    /// By the time the tag was first seen: newest (asc) or oldest (desc)
    #[arg(long, value_name = "ORDER", group = "choice", num_args = 0..=1, default_missing_value = "asc")]
    first_seen: Option<String>,
    /// A preset: timestamp (main-SHA-TIME), build (BUILD-SHA) or calver (2024.01.15)
    #[arg(long, value_name = "PRESET", group = "choice")]
    sortable: Option<String>,
    /// Only tags that match this regular expression (RE2)
    #[arg(long, value_name = "RE", allow_hyphen_values = true)]
    filter: Option<String>,
    /// What of them is compared, for example $ts
    #[arg(
        long,
        value_name = "TEMPLATE",
        requires = "filter",
        allow_hyphen_values = true
    )]
    extract: Option<String>,
    /// Tags that never count (RE2); may be repeated [default: ^.*\.sig$]
    #[arg(long, value_name = "RE", allow_hyphen_values = true)]
    exclusion: Vec<String>,
    /// Only tags first seen at least this long ago
    #[arg(long, value_name = "DURATION")]
    minimum_age: Option<String>,
    /// Never choose what comes before the current tag
    #[arg(long, requires = "current")]
    never_downgrade: bool,
    /// Only tags with as many parts and the same suffix as the current tag
    #[arg(long, requires = "current")]
    same_shape: bool,
    /// For --numerical: leave tags out that are no numbers, instead of failing
    #[arg(long, requires = "numerical")]
    skip_unparsable: bool,
}

/// The result of one policy, as other programs rely on it.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    tag: Option<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    considered: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<Vec<TagVerdict>>,
}

/// One policy and the tags it chooses from.
struct Question {
    name: Option<ObjectName>,
    policy: Policy,
    tags: Arc<TagList>,
}

/// Selects.
pub(crate) fn run(args: &SelectArgs, global: &GlobalArgs, output: &Output) -> anyhow::Result<Exit> {
    let written = args.written.to_spec()?;
    if args.input.is_given() && written.is_some() {
        return Err(BadInput::error(
            "give either -f or a policy as flags (--semver and the like), not both",
        ));
    }
    if args.suggest {
        let tags = tags_of_flags(args, global, output)?;
        return super::suggest::run(&tags, output);
    }
    let questions = match written {
        Some(spec) => {
            let policy =
                Policy::compile(&spec).map_err(|error| BadInput::error(error.to_string()))?;
            vec![Question {
                name: None,
                policy,
                tags: tags_of_flags(args, global, output)?,
            }]
        }
        None if args.input.is_given() => questions_of_files(args, global, output)?,
        None => {
            return Err(BadInput::error(
                "no policy: give -f with an ImagePolicy, or one of --semver, --alphabetical, --numerical, --glob, --natural, --created, --first-seen, --sortable (or --suggest)",
            ));
        }
    };
    let current = args
        .current
        .as_deref()
        .map(Tag::new)
        .transpose()
        .map_err(|error| BadInput::error(format!("--current: {error}")))?;
    let several = questions.len() > 1;
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        let mut answer = ask(question, current.clone(), args.explain.is_some());
        if several {
            answer.policy = question.name.as_ref().map(ToString::to_string);
        }
        if let (Some(Some(only)), Some(verdicts)) = (&args.explain, &mut answer.verdicts) {
            verdicts.retain(|verdict| verdict.tag.as_str() == only);
            if verdicts.is_empty() {
                return Err(BadInput::error(format!(
                    "--explain {only}: no such tag in the list"
                )));
            }
        }
        answers.push(answer);
    }
    let failed = answers.iter().any(|answer| answer.tag.is_none());
    if several {
        output.print(&answers, |out, _| table_of_policies(&answers, out))?;
    } else if let Some(answer) = answers.first() {
        output.print(answer, |out, _| table_of_one(answer, out))?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn ask(question: &Question, current: Option<Tag>, explain: bool) -> Answer {
    let context = Context::at(Timestamp::now())
        .with_current(current)
        .with_order(ListOrder::AsGiven);
    let candidates = question.tags.candidates();
    let (selection, verdicts) = if explain {
        let Explanation {
            selection,
            verdicts,
        } = question.policy.explain(candidates, &context);
        (selection, Some(verdicts))
    } else {
        (question.policy.select(candidates, &context), None)
    };
    let mut answer = Answer {
        policy: None,
        tag: None,
        considered: None,
        matched: None,
        reason: None,
        message: None,
        verdicts,
    };
    match selection.result {
        Ok(tag) => {
            answer.tag = Some(tag);
            answer.considered = Some(selection.considered);
            answer.matched = Some(selection.matched);
        }
        Err(no_choice) => {
            answer.reason = Some(no_choice.reason());
            answer.message = Some(no_choice.to_string());
        }
    }
    answer
}

fn table_of_one(answer: &Answer, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    match (&answer.tag, &answer.message) {
        (Some(tag), _) => writeln!(out, "{GOOD}{tag}{GOOD:#}")?,
        (None, message) => {
            writeln!(
                out,
                "{BAD}no tag is chosen:{BAD:#} {}",
                message.as_deref().unwrap_or_default()
            )?;
        }
    }
    if let Some(verdicts) = &answer.verdicts {
        let mut table = Table::new([
            Column::Left("TAG"),
            Column::Left("VERDICT"),
            Column::Flexible("WHY"),
        ]);
        for verdict in verdicts {
            let style = match verdict.verdict {
                Verdict::Chosen => GOOD,
                Verdict::Older => anstyle::Style::new(),
                _ => DIM,
            };
            table
                .row()
                .cell(verdict.tag.as_str())
                .styled(verdict.verdict.as_str(), style)
                .cell(&verdict.detail);
        }
        table.write(out)?;
    }
    Ok(())
}

fn table_of_policies(answers: &[Answer], out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut table = Table::new([
        Column::Left("POLICY"),
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
            .cell(answer.policy.as_deref().unwrap_or_default())
            .styled(tag, if answer.tag.is_some() { GOOD } else { BAD })
            .cell(number(answer.considered))
            .cell(number(answer.matched))
            .cell(answer.message.as_deref().unwrap_or_default());
    }
    table.write(out)?;
    for answer in answers {
        if let Some(verdicts) = &answer.verdicts {
            writeln!(out, "\n{}", answer.policy.as_deref().unwrap_or_default())?;
            let mut table = Table::new([
                Column::Left("TAG"),
                Column::Left("VERDICT"),
                Column::Flexible("WHY"),
            ]);
            for verdict in verdicts {
                table
                    .row()
                    .cell(verdict.tag.as_str())
                    .cell(verdict.verdict.as_str())
                    .cell(&verdict.detail);
            }
            table.write(out)?;
        }
    }
    Ok(())
}

fn tags_of_flags(
    args: &SelectArgs,
    global: &GlobalArgs,
    output: &Output,
) -> anyhow::Result<Arc<TagList>> {
    match (&args.tags, &args.image) {
        (Some(file), _) => Ok(Arc::new(read_tag_list(file, output)?)),
        (None, Some(image)) => {
            let target = ad_hoc::target(image, args.insecure)?;
            let scanner = ad_hoc::scanner(global, &args.registry)?;
            Ok(Arc::new(ad_hoc::scan_tags(&scanner, &target)?))
        }
        (None, None) => Err(BadInput::error(
            "no tags to choose from: give --tags FILE (or -), or --image IMAGE to scan",
        )),
    }
}

fn questions_of_files(
    args: &SelectArgs,
    global: &GlobalArgs,
    output: &Output,
) -> anyhow::Result<Vec<Question>> {
    let resources = args.input.load(output)?;
    let chosen = chosen_policies(&resources, args.policy.as_deref(), &args.input.namespace)?;
    let from_file = args
        .tags
        .as_deref()
        .map(|file| read_tag_list(file, output))
        .transpose()?
        .map(Arc::new);
    let mut questions = Vec::with_capacity(chosen.len());
    for object in chosen {
        let reference = &object.spec.image_repository_ref;
        let namespace = reference
            .namespace
            .as_deref()
            .unwrap_or(&object.key.name.namespace);
        let repository = resources
            .image_repositories
            .get(&ObjectName::new(namespace, reference.name.as_str()));
        let exclusions = repository
            .map(|repository| repository.spec.exclusions())
            .unwrap_or_default();
        let spec = object
            .spec
            .to_policy_spec(&exclusions)
            .map_err(|error| BadInput::error(error.to_string()))?;
        let policy = Policy::compile(&spec).map_err(|error| BadInput::error(error.to_string()))?;
        let tags = match (&from_file, repository) {
            (Some(tags), _) => Arc::clone(tags),
            (None, Some(repository)) => {
                Arc::new(scan_repository(args, repository, &resources, global)?)
            }
            (None, None) => {
                return Err(BadInput::error(format!(
                    "{} refers to ImageRepository {namespace}/{}, which is not among the files; add it, or give --tags",
                    object.key, reference.name
                )));
            }
        };
        questions.push(Question {
            name: Some(object.key.name.clone()),
            policy,
            tags,
        });
    }
    Ok(questions)
}

fn scan_repository(
    args: &SelectArgs,
    repository: &Object<ImageRepositorySpec>,
    resources: &Resources,
    global: &GlobalArgs,
) -> anyhow::Result<TagList> {
    let settings = Settings::resolve(
        global,
        &ServiceArgs::default(),
        &(&args.registry).into(),
        resources,
    )?;
    let image = ImageName::parse(&repository.spec.image)
        .map_err(|error| BadInput::error(error.to_string()))?;
    let access = registry_access::access(repository, resources, &settings.clouds)
        .map_err(|failure| anyhow::anyhow!("{}: {}", repository.key, failure.message))?;
    let scanner = ad_hoc::scanner_of(global, &settings)?;
    ad_hoc::scan_tags(&scanner, &ScanTarget::new(image, access))
}

fn chosen_policies<'r>(
    resources: &'r Resources,
    wanted: Option<&str>,
    namespace: &str,
) -> anyhow::Result<Vec<&'r Arc<Object<ImagePolicySpec>>>> {
    let Some(wanted) = wanted else {
        let all: Vec<_> = resources.image_policies.values().collect();
        if all.is_empty() {
            return Err(BadInput::error(
                "there is no usable ImagePolicy in the files",
            ));
        }
        return Ok(all);
    };
    let exact = match wanted.split_once('/') {
        Some((namespace, name)) => ObjectName::new(namespace, name),
        None => ObjectName::new(namespace, wanted),
    };
    if let Some(found) = resources.image_policies.get(&exact) {
        return Ok(vec![found]);
    }
    let by_name: Vec<_> = resources
        .image_policies
        .values()
        .filter(|policy| !wanted.contains('/') && policy.key.name.name == wanted)
        .collect();
    let names = || {
        let names: Vec<String> = resources
            .image_policies
            .keys()
            .map(ToString::to_string)
            .collect();
        names.join(", ")
    };
    match by_name.as_slice() {
        [one] => Ok(vec![one]),
        [] => Err(BadInput::error(format!(
            "there is no usable ImagePolicy {wanted} in the files; there are: {}",
            names()
        ))),
        _ => Err(BadInput::error(format!(
            "several namespaces have an ImagePolicy {wanted}; write NAMESPACE/NAME: {}",
            names()
        ))),
    }
}

impl WrittenPolicy {
    fn to_spec(&self) -> anyhow::Result<Option<PolicySpec>> {
        let bad = |error: tagline_policy::InvalidPolicy| BadInput::error(error.to_string());
        let order = |text: &str| text.parse().map_err(bad);
        let choice = if let Some(range) = &self.semver {
            Choice::Semver {
                range: range.clone(),
            }
        } else if let Some(text) = &self.alphabetical {
            Choice::Alphabetical {
                order: order(text)?,
            }
        } else if let Some(text) = &self.numerical {
            let unparsable = if self.skip_unparsable {
                Unparsable::Skip
            } else {
                Unparsable::Fail
            };
            Choice::Numerical {
                order: order(text)?,
                unparsable,
            }
        } else if let Some(pattern) = &self.glob {
            Choice::Glob {
                pattern: pattern.clone(),
            }
        } else if let Some(text) = &self.natural {
            Choice::Natural {
                order: order(text)?,
            }
        } else if let Some(text) = &self.created {
            Choice::Created {
                order: order(text)?,
            }
        } else if let Some(text) = &self.first_seen {
            Choice::FirstSeen {
                order: order(text)?,
            }
        } else if let Some(preset) = &self.sortable {
            Choice::Sortable(preset.parse::<Sortable>().map_err(bad)?)
        } else if self.filter.is_some() {
            return Err(BadInput::error(
                "--filter says which tags count, not which of them is chosen: add --semver, --alphabetical or --numerical",
            ));
        } else {
            return Ok(None);
        };
        let minimum_age = self
            .minimum_age
            .as_deref()
            .map(Span::parse_with_days)
            .transpose()
            .map_err(|error| BadInput::error(format!("--minimum-age: {error}")))?
            .map(|age| SignedDuration::try_from(age.0).unwrap_or(SignedDuration::MAX));
        Ok(Some(PolicySpec {
            choice,
            filter: self.filter.as_ref().map(|pattern| FilterTags {
                pattern: pattern.clone(),
                extract: self.extract.clone().unwrap_or_default(),
            }),
            exclusions: Exclusions::from_exclusion_list(&self.exclusion),
            guards: Guards {
                minimum_age,
                never_downgrade: self.never_downgrade,
                same_shape: self.same_shape,
            },
        }))
    }
}
