//! Which policies are asked, and where their tags come from.

use super::SelectArgs;
use crate::cli::GlobalArgs;
use crate::commands::ad_hoc;
use crate::commands::tag_list::{TagList, read_tag_list};
use crate::exit::BadInput;
use crate::output::Output;
use crate::resources::{
    Groups, ImagePolicySpec, ImageRepositorySpec, Kind, Object, ObjectName, Resources,
};
use crate::service::registry_access;
use crate::settings::{ServiceArgs, Settings};
use std::collections::BTreeMap;
use std::sync::Arc;
use tagline_policy::{ImageName, Policy, PolicySpec, Tag};
use tagline_scanner::{ScanTarget, Scanner};

/// One policy and the tags it chooses from.
pub(super) struct Question {
    /// The policy's object, where it has one.
    pub(super) name: Option<ObjectName>,
    /// The image or file, where several were given on the command line.
    pub(super) source: Option<String>,
    /// What it moves with.
    pub(super) group: Option<AskedGroup>,
    pub(super) policy: Policy,
    pub(super) tags: Result<Arc<TagList>, NoTags>,
    /// The tag in use.
    pub(super) current: Option<Tag>,
    /// Asked for itself, not only because others move with it.
    pub(super) wanted: bool,
}

/// A group as it is asked.
#[derive(Debug, Clone)]
pub(super) struct AskedGroup {
    /// Tells groups apart.
    pub(super) id: String,
    pub(super) name: String,
    /// A member that cannot be used, and why.
    pub(super) broken: Option<String>,
}

/// Why there are no tags to choose from.
#[derive(Debug, Clone)]
pub(super) struct NoTags {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Question {
    /// What it is called among the members of its group.
    pub(super) fn member(&self) -> &str {
        let name = self.name.as_ref().map(|name| name.name.as_str());
        name.or(self.source.as_deref()).unwrap_or_default()
    }
}

/// The questions of a policy written as flags: one for each list of tags.
pub(super) fn of_flags(
    spec: &PolicySpec,
    current: Option<&Tag>,
    args: &SelectArgs,
    global: &GlobalArgs,
    output: &Output,
) -> anyhow::Result<Vec<Question>> {
    let policy = Policy::compile(spec)?;
    let lists = lists_of_flags(&policy, args, global, output)?;
    let several = lists.len() > 1;
    if args.together && !several {
        return Err(BadInput::error(
            "--together needs several images: give --image or --tags once for each",
        ));
    }
    let question = |(source, tags): (String, Result<Arc<TagList>, NoTags>)| Question {
        name: None,
        source: several.then_some(source),
        group: args.together.then(|| AskedGroup {
            id: String::new(),
            name: "together".to_owned(),
            broken: None,
        }),
        policy: policy.clone(),
        tags,
        current: current.cloned(),
        wanted: true,
    };
    Ok(lists.into_iter().map(question).collect())
}

type Lists = Vec<(String, Result<Arc<TagList>, NoTags>)>;

/// The lists of `--tags` and `--image`.
pub(super) fn lists_of_flags(
    policy: &Policy,
    args: &SelectArgs,
    global: &GlobalArgs,
    output: &Output,
) -> anyhow::Result<Lists> {
    refuse_standard_input_twice(args)?;
    if !args.tags.is_empty() {
        let read = |file: &String| Ok((file.clone(), Ok(Arc::new(read_tag_list(file, output)?))));
        return args.tags.iter().map(read).collect();
    }
    if args.image.is_empty() {
        return Err(BadInput::error(
            "no tags to choose from: give --tags FILE (or -), or --image IMAGE to scan",
        ));
    }
    let targets: Vec<(ScanTarget, &Policy)> = args
        .image
        .iter()
        .map(|image| Ok((ad_hoc::target(image, args.insecure)?, policy)))
        .collect::<anyhow::Result<_>>()?;
    let scanner = ad_hoc::scanner(global, &args.registry)?;
    let lists = scan(&scanner, &targets, output)?;
    Ok(args.image.iter().cloned().zip(lists).collect())
}

fn refuse_standard_input_twice(args: &SelectArgs) -> anyhow::Result<()> {
    let from_standard_input = |argument: &&String| {
        *argument == "-"
            || argument
                .split_once('=')
                .is_some_and(|(_, file)| file == "-")
    };
    let lists = args.tags.iter().filter(from_standard_input).count();
    let manifests = args.input.filename.iter().filter(|name| *name == "-");
    if lists + manifests.count() > 1 {
        return Err(BadInput::error(
            "standard input can be read only once: - is given more than once",
        ));
    }
    Ok(())
}

/// The questions of the policies in manifests, with those that they move together with.
pub(super) fn of_files(
    resources: &Resources,
    current: Option<&Tag>,
    args: &SelectArgs,
    global: &GlobalArgs,
    output: &Output,
) -> anyhow::Result<Vec<Question>> {
    refuse_standard_input_twice(args)?;
    let wanted = chosen_policies(resources, args.policy.as_deref(), &args.input.namespace)?;
    let groups = Groups::of(resources);
    let mut asked: BTreeMap<ObjectName, &Arc<Object<ImagePolicySpec>>> = BTreeMap::new();
    for object in &wanted {
        for name in groups.evaluated_with(&object.key.name) {
            if let Some(member) = resources.image_policies.get(&name) {
                asked.insert(name, member);
            }
        }
    }
    let lists = ListsOfFiles::read(args, resources, output)?;
    let mut questions = Vec::with_capacity(asked.len());
    let mut to_scan: Vec<(usize, ScanTarget)> = Vec::new();
    for (name, object) in asked {
        let repository_name = object
            .spec
            .image_repository_ref
            .in_namespace(&name.namespace);
        let repository = resources.image_repositories.get(&repository_name);
        let exclusions = repository
            .map(|repository| repository.spec.exclusions())
            .unwrap_or_default();
        let spec = object
            .spec
            .to_policy_spec(&exclusions)
            .map_err(|error| BadInput::error(error.to_string()))?;
        let policy = Policy::compile(&spec).map_err(|error| BadInput::error(error.to_string()))?;
        let refused = resources.refused.iter().find(|refused| {
            refused.key.kind == Kind::ImageRepository && refused.key.name == repository_name
        });
        let tags = match (lists.of(&name), repository) {
            // Without its exclusions the policy is another one.
            _ if refused.is_some() => Err(NoTags {
                reason: "invalid-repository",
                message: format!(
                    "ImageRepository {repository_name} cannot be used: see its own error"
                ),
            }),
            (Some(tags), _) => Ok(tags),
            (None, Some(repository)) => {
                match target_of(repository, resources, args, global) {
                    Ok(target) => to_scan.push((questions.len(), target)),
                    Err(error) => output.error(&format!("{error:#}")),
                }
                Err(NoTags {
                    reason: "not-scanned",
                    message: format!("the tags of ImageRepository {repository_name} are not known"),
                })
            }
            (None, None) => {
                return Err(BadInput::error(format!(
                    "{} refers to ImageRepository {repository_name}, which is not among the files; add it, or give --tags",
                    object.key
                )));
            }
        };
        let group = groups.of_policy(&name).map(|group| AskedGroup {
            id: format!("{}/{}", name.namespace, group.name),
            name: group.name.clone(),
            broken: group.refused.first().map(|(_, why)| why.clone()),
        });
        let given = resources.given_choices.get(&name).map(|given| &given.tag);
        questions.push(Question {
            source: None,
            group,
            policy,
            tags,
            current: current.or(given).cloned(),
            wanted: wanted.iter().any(|wanted| wanted.key.name == name),
            name: Some(name),
        });
    }
    scan_for(&mut questions, &to_scan, args, global, resources, output)?;
    Ok(questions)
}

/// Scans for the questions that have no list; one scan for all that ask for the same.
fn scan_for(
    questions: &mut [Question],
    to_scan: &[(usize, ScanTarget)],
    args: &SelectArgs,
    global: &GlobalArgs,
    resources: &Resources,
    output: &Output,
) -> anyhow::Result<()> {
    if to_scan.is_empty() {
        return Ok(());
    }
    let settings = settings(args, global, resources)?;
    let scanner = ad_hoc::scanner_of(global, &settings)?;
    let targets: Vec<(ScanTarget, &Policy)> = to_scan
        .iter()
        .filter_map(|(index, target)| Some((target.clone(), &questions.get(*index)?.policy)))
        .collect();
    let lists = scan(&scanner, &targets, output)?;
    for ((index, _), tags) in to_scan.iter().zip(lists) {
        if let Some(question) = questions.get_mut(*index) {
            question.tags = tags;
        }
    }
    Ok(())
}

fn scan(
    scanner: &Scanner,
    targets: &[(ScanTarget, &Policy)],
    output: &Output,
) -> anyhow::Result<Vec<Result<Arc<TagList>, NoTags>>> {
    let lists = ad_hoc::scan_lists(scanner, targets, output)?;
    let told = |list: Result<TagList, tagline_scanner::ScanError>| {
        list.map(Arc::new).map_err(|error| NoTags {
            reason: "scan-failed",
            message: error.to_string(),
        })
    };
    Ok(lists.into_iter().map(told).collect())
}

fn settings(
    args: &SelectArgs,
    global: &GlobalArgs,
    resources: &Resources,
) -> anyhow::Result<Settings> {
    Settings::resolve(
        global,
        &ServiceArgs::default(),
        &(&args.registry).into(),
        resources,
    )
}

fn target_of(
    repository: &Object<ImageRepositorySpec>,
    resources: &Resources,
    args: &SelectArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ScanTarget> {
    let settings = settings(args, global, resources)?;
    let image = ImageName::parse(&repository.spec.image)
        .map_err(|error| BadInput::error(error.to_string()))?;
    let access = registry_access::access_with_settings(repository, &image, resources, &settings)
        .map_err(|failure| anyhow::anyhow!("{}: {}", repository.key, failure.message))?;
    Ok(ScanTarget::new(image, access))
}

/// The lists of `--tags` beside manifests: `FILE` for all policies, `POLICY=FILE` for one.
struct ListsOfFiles {
    of_all: Option<Arc<TagList>>,
    by_policy: BTreeMap<ObjectName, Arc<TagList>>,
}

impl ListsOfFiles {
    fn read(args: &SelectArgs, resources: &Resources, output: &Output) -> anyhow::Result<Self> {
        let mut lists = Self {
            of_all: None,
            by_policy: BTreeMap::new(),
        };
        for argument in &args.tags {
            let named = argument.split_once('=').and_then(|(policy, file)| {
                let found = find_policy(resources, policy, &args.input.namespace);
                found.ok().map(|object| (object.key.name.clone(), file))
            });
            // The policy's own error has been told.
            let of_refused = argument.split_once('=').is_some_and(|(written, _)| {
                let refused = resources.refused.iter().map(|refused| &refused.key);
                let mut policies = refused.filter(|key| key.kind == Kind::ImagePolicy);
                policies.any(|key| match written.split_once('/') {
                    Some((namespace, name)) => key.name == ObjectName::new(namespace, name),
                    None => key.name.name == written,
                })
            });
            if let Some((policy, file)) = named {
                let list = Arc::new(read_tag_list(file, output)?);
                if lists.by_policy.insert(policy.clone(), list).is_some() {
                    return Err(BadInput::error(format!(
                        "--tags: ImagePolicy {policy} is given two lists"
                    )));
                }
            } else if lists.of_all.is_some() && !of_refused {
                return Err(BadInput::error(format!(
                    "--tags {argument}: with -f, one FILE is for all policies; write POLICY=FILE to give each its own"
                )));
            } else if !of_refused {
                lists.of_all = Some(Arc::new(read_tag_list(argument, output)?));
            }
        }
        Ok(lists)
    }

    fn of(&self, policy: &ObjectName) -> Option<Arc<TagList>> {
        self.by_policy.get(policy).or(self.of_all.as_ref()).cloned()
    }
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
    find_policy(resources, wanted, namespace).map(|one| vec![one])
}

/// The policy of a name, with or without its namespace.
fn find_policy<'r>(
    resources: &'r Resources,
    wanted: &str,
    namespace: &str,
) -> anyhow::Result<&'r Arc<Object<ImagePolicySpec>>> {
    let exact = match wanted.split_once('/') {
        Some((namespace, name)) => ObjectName::new(namespace, name),
        None => ObjectName::new(namespace, wanted),
    };
    if let Some(found) = resources.image_policies.get(&exact) {
        return Ok(found);
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
        [one] => Ok(one),
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
