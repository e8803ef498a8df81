//! `tagline select --suggest`: policies that fit a list of tags.

use super::tag_list::TagList;
use crate::exit::Exit;
use crate::output::{DIM, GOOD, Output, STRONG};
use serde::Serialize;
use tagline_policy::{Choice, PolicySpec, Tag, Unparsable, suggest};

/// One proposal, as JSON and YAML have it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Proposed {
    /// What `spec` of an `ImagePolicy` says.
    spec: serde_json::Value,
    /// The flags of `tagline select`.
    flags: String,
    chooses: Tag,
    matched: usize,
    why: String,
    in_flux: bool,
}

/// Proposes.
pub(crate) fn run(tags: &TagList, output: &Output) -> anyhow::Result<Exit> {
    let candidates = tags.candidates();
    let proposals: Vec<Proposed> = suggest(candidates.iter().map(|candidate| candidate.tag))
        .into_iter()
        .map(|proposal| Proposed {
            spec: manifest(&proposal.spec),
            flags: flags(&proposal.spec),
            chooses: proposal.chooses,
            matched: proposal.matched,
            why: proposal.why,
            in_flux: proposal.in_flux,
        })
        .collect();
    output.print(&proposals, |out, _| {
        if proposals.is_empty() {
            writeln!(
                out,
                "nothing in these tags can be sorted: no versions, numbers or dates"
            )?;
        }
        for proposal in &proposals {
            let yaml = serde_saphyr::to_string(&proposal.spec).map_err(std::io::Error::other)?;
            writeln!(out, "{STRONG}{}{STRONG:#}", proposal.why)?;
            writeln!(
                out,
                "  chooses {GOOD}{}{GOOD:#} of {} tags that fit",
                proposal.chooses, proposal.matched
            )?;
            writeln!(out, "  {DIM}tagline select {}{DIM:#}", proposal.flags)?;
            for line in yaml.trim_end().lines() {
                writeln!(out, "    {line}")?;
            }
            if !proposal.in_flux {
                writeln!(out, "  {DIM}Flux v2 has no such policy{DIM:#}")?;
            }
        }
        Ok(())
    })?;
    Ok(if proposals.is_empty() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn manifest(spec: &PolicySpec) -> serde_json::Value {
    use serde_json::json;
    let policy = match &spec.choice {
        Choice::Semver { range } => json!({"semver": {"range": range}}),
        Choice::Alphabetical { order } => json!({"alphabetical": {"order": order.to_string()}}),
        Choice::Numerical {
            order,
            unparsable: Unparsable::Fail,
        } => {
            json!({"numerical": {"order": order.to_string()}})
        }
        Choice::Numerical {
            order,
            unparsable: Unparsable::Skip,
        } => {
            json!({"numerical": {"order": order.to_string(), "unparsable": "Skip"}})
        }
        Choice::Natural { order } => json!({"natural": {"order": order.to_string()}}),
        Choice::Created { order } => json!({"created": {"order": order.to_string()}}),
        Choice::FirstSeen { order } => json!({"firstSeen": {"order": order.to_string()}}),
        Choice::Glob { pattern } | Choice::Pattern { pattern } => {
            json!({"glob": {"pattern": pattern}})
        }
        Choice::Sortable(preset) => json!({"sortable": preset.as_str()}),
    };
    match &spec.filter {
        None => json!({"policy": policy}),
        Some(filter) if filter.extract.is_empty() => {
            json!({"filterTags": {"pattern": filter.pattern}, "policy": policy})
        }
        Some(filter) => {
            json!({"filterTags": {"pattern": filter.pattern, "extract": filter.extract}, "policy": policy})
        }
    }
}

fn flags(spec: &PolicySpec) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let choice = match &spec.choice {
        Choice::Semver { range } => format!("--semver {}", quoted(range)),
        Choice::Alphabetical { order } => format!("--alphabetical {order}"),
        Choice::Numerical {
            order,
            unparsable: Unparsable::Fail,
        } => format!("--numerical {order}"),
        Choice::Numerical {
            order,
            unparsable: Unparsable::Skip,
        } => {
            format!("--numerical {order} --skip-unparsable")
        }
        Choice::Natural { order } => format!("--natural {order}"),
        Choice::Created { order } => format!("--created {order}"),
        Choice::FirstSeen { order } => format!("--first-seen {order}"),
        Choice::Glob { pattern } | Choice::Pattern { pattern } => {
            format!("--glob {}", quoted(pattern))
        }
        Choice::Sortable(preset) => format!("--sortable {preset}"),
    };
    match &spec.filter {
        None => choice,
        Some(filter) if filter.extract.is_empty() => {
            format!("--filter {} {choice}", quoted(&filter.pattern))
        }
        Some(filter) => {
            format!(
                "--filter {} --extract {} {choice}",
                quoted(&filter.pattern),
                quoted(&filter.extract)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_manifest_say_the_same() {
        let spec = PolicySpec::semver(">=1.0.0").with_filter("^v'(.*)$", "$1");
        assert_eq!(
            flags(&spec),
            r"--filter '^v'\''(.*)$' --extract '$1' --semver '>=1.0.0'"
        );
        assert_eq!(
            manifest(&spec).to_string(),
            r#"{"filterTags":{"extract":"$1","pattern":"^v'(.*)$"},"policy":{"semver":{"range":">=1.0.0"}}}"#
        );
    }
}
