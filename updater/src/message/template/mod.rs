//! Go's `text/template` with sprig's functions, as far as commit messages need it.
//!
//! Actions, pipelines, variables with `:=` and `=`, `if`, `with`, `range` with `else`, `break` and
//! `continue`, `define`, `template`, `block`, trim markers, comments, Go's own functions, and those of
//! sprig's `HermeticTxtFuncMap` whose result is the same each time. What a template may use up is bounded.
//!
//! Where it differs from Go: `int` parameters take `int64` as well, map parameters take any map with
//! texts as keys, `trunc` and `substr` never cut a character in two, `keys` and `values` are sorted, and
//! errors at parse time name the column.

mod builtins;
mod exec;
mod function;
mod lexer;
mod parser;
mod print;
mod printf;
mod run;
mod sprig;
mod syntax;
mod value;

pub use run::Limits;
pub use value::{DictId, List, Map, Struct, Value};

use syntax::{Block, Definitions};

/// A template, read and ready to run.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    source: String,
    body: Block,
    definitions: Definitions,
}

/// What is wrong with a template's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}:{column}: {message}")]
pub struct ParseError {
    /// The template's name.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Why a template stopped. Displays as Go's `ExecError` does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}:{byte}: executing {template:?} at <{context}>: {message}")]
pub struct RenderError {
    /// The name of the template that was run.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The place in the line, from 0, in bytes, as Go counts it.
    pub byte: usize,
    /// The template, of those it defines, that stopped.
    pub template: String,
    /// The words that were evaluated.
    pub context: String,
    /// What went wrong.
    pub message: String,
}

/// The longest template that is read, in bytes.
const MAX_SOURCE: usize = 256 * 1024;

impl Template {
    /// Its text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Reads a template. `name` is for messages.
    ///
    /// # Errors
    /// [`ParseError`] for what Go refuses as well: a broken action, an unknown function or variable.
    pub fn parse(name: &str, source: &str) -> Result<Self, ParseError> {
        if source.len() > MAX_SOURCE {
            return Err(ParseError {
                name: name.to_owned(),
                line: 1,
                column: 1,
                message: format!("longer than {MAX_SOURCE} bytes"),
            });
        }
        let (body, definitions) = parser::parse(source, &function::check).map_err(|wrong| {
            let (line, start) = line_of(source, wrong.at);
            ParseError {
                name: name.to_owned(),
                line,
                column: 1 + source
                    .get(start..wrong.at)
                    .unwrap_or_default()
                    .chars()
                    .count(),
                message: wrong.why,
            }
        })?;
        Ok(Self {
            name: name.to_owned(),
            source: source.to_owned(),
            body,
            definitions,
        })
    }

    /// Fills the template in.
    ///
    /// # Errors
    /// [`RenderError`] when it uses what the data does not have, when a function fails, and when it
    /// would exceed [`Limits`].
    pub fn render(&self, data: &Value) -> Result<String, RenderError> {
        self.render_within(data, Limits::default())
    }

    /// Fills the template in, within other limits.
    ///
    /// # Errors
    /// Those of [`render`](Self::render).
    pub fn render_within(&self, data: &Value, limits: Limits) -> Result<String, RenderError> {
        exec::execute(&self.name, &self.body, &self.definitions, data, limits).map_err(|stop| {
            let (line, start) = line_of(&self.source, stop.at);
            RenderError {
                name: self.name.clone(),
                line,
                byte: stop.at.saturating_sub(start),
                template: stop.template,
                context: stop.context,
                message: stop.why,
            }
        })
    }
}

/// The line of a place, from 1, and where that line begins.
fn line_of(source: &str, at: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..at.min(source.len())];
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    (1 + memchr::memchr_iter(b'\n', before).count(), start)
}
