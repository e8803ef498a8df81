//! Runs a template.

use super::function::{self, Function, Kind};
use super::print;
use super::run::{Fault, Limits, Run};
use super::syntax::{
    Block, Branch, Command, Definitions, Node, Number, Offset, Operand, Pipe, Term,
};
use super::value::Value;
use std::fmt;

/// Where and why a template stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) at: Offset,
    /// The template that ran.
    pub(super) template: String,
    /// The words that were evaluated.
    pub(super) context: String,
    pub(super) why: String,
}

/// What a block asks of the loop around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// Runs a template's body on the data.
pub(super) fn execute(
    name: &str,
    body: &Block,
    definitions: &Definitions,
    data: &Value,
    limits: Limits,
) -> Result<String, Stop> {
    let mut execution = Execution {
        name: name.to_owned(),
        definitions,
        run: Run::new(limits),
        variables: vec![("$".to_owned(), data.clone())],
        calls: 0,
        out: String::new(),
    };
    execution.block(body, data)?;
    Ok(execution.out)
}

struct Execution<'t> {
    name: String,
    definitions: &'t Definitions,
    run: Run,
    variables: Vec<(String, Value)>,
    calls: usize,
    out: String,
}

impl Execution<'_> {
    fn stop<T>(
        &self,
        at: Offset,
        context: &dyn fmt::Display,
        why: impl Into<String>,
    ) -> Result<T, Stop> {
        Err(Stop {
            at,
            template: self.name.clone(),
            context: context.to_string(),
            why: why.into(),
        })
    }

    fn or_stop<T>(
        &self,
        result: Result<T, Fault>,
        at: Offset,
        context: &dyn fmt::Display,
    ) -> Result<T, Stop> {
        result.or_else(|Fault(why)| self.stop(at, context, why))
    }

    fn write(&mut self, text: &str, at: Offset, context: &dyn fmt::Display) -> Result<(), Stop> {
        let spent = self.run.spend_text(self.out.len() + text.len());
        self.or_stop(
            spent.map_err(|_| Fault::new("the output is too long")),
            at,
            context,
        )?;
        self.out.push_str(text);
        Ok(())
    }

    fn block(&mut self, block: &Block, dot: &Value) -> Result<Flow, Stop> {
        for node in block {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Stop> {
        match node {
            Node::Text(text) => self.write(text, 0, &"")?,
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    let text = match &value {
                        Value::Nil => "<no value>".to_owned(),
                        value => {
                            let text = print::plain(&mut self.run, value);
                            self.or_stop(text, pipe.at, pipe)?
                        }
                    };
                    self.write(&text, pipe.at, pipe)?;
                }
            }
            Node::If(branch) | Node::With(branch) => {
                let scope = self.variables.len();
                let value = self.pipe(&branch.pipe, dot)?;
                let inner = if matches!(node, Node::With(_)) {
                    &value
                } else {
                    dot
                };
                let flow = if function::is_true(&self.run, &value) {
                    self.block(&branch.then, inner)?
                } else if let Some(otherwise) = &branch.otherwise {
                    self.block(otherwise, dot)?
                } else {
                    Flow::Next
                };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range(branch) => {
                let scope = self.variables.len();
                let flow = self.range(branch, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Template { name, argument, at } => {
                self.call_template(name, argument.as_ref(), *at, dot)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Stop> {
        let pipe = &branch.pipe;
        let value = self.pipe(pipe, dot)?;
        let scope = self.variables.len();
        let items: Vec<(Value, Value)> = match &value {
            Value::Nil => Vec::new(),
            Value::List(list) => (0..)
                .map(Value::Int)
                .zip(list.items.iter().cloned())
                .collect(),
            Value::Map(map) => map.entries.to_vec(),
            Value::Dict(dict) => {
                let entries = self.or_stop(self.run.entries(*dict), pipe.at, pipe)?;
                entries
                    .iter()
                    .map(|(key, item)| (Value::text(key.as_str()), item.clone()))
                    .collect()
            }
            Value::Int(count) | Value::Int64(count) => {
                if pipe.variables.len() > 1 {
                    return self.stop_behind(
                        pipe,
                        format!("can't use {count} to iterate over more than one variable"),
                    );
                }
                let spent = self.run.spend(usize::try_from(*count).unwrap_or(0));
                self.or_stop(spent, pipe.at, pipe)?;
                (0..*count)
                    .map(|n| (Value::Int(n), Value::Int(n)))
                    .collect()
            }
            other => {
                let text = print::plain(&mut self.run, other);
                let text = self.or_stop(text, pipe.at, pipe)?;
                return self.stop_behind(pipe, format!("range can't iterate over {text}"));
            }
        };
        let spent = self.run.spend(items.len());
        self.or_stop(spent, pipe.at, pipe)?;
        if items.is_empty()
            && let Some(otherwise) = &branch.otherwise
        {
            return self.block(otherwise, dot);
        }
        for (key, item) in items {
            let spent = self.run.spend(1);
            self.or_stop(spent, pipe.at, pipe)?;
            let variables = pipe.variables.len();
            match variables {
                0 => {}
                1 => self.set_loop_variable(pipe, 0, item.clone())?,
                _ => {
                    self.set_loop_variable(pipe, 0, key)?;
                    self.set_loop_variable(pipe, 1, item.clone())?;
                }
            }
            let flow = self.block(&branch.then, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// The pipeline of the `range` has made its variables already, the last ones of the stack.
    fn set_loop_variable(&mut self, pipe: &Pipe, index: usize, value: Value) -> Result<(), Stop> {
        if pipe.assigns {
            return self.assign(&pipe.variables[index], value, pipe);
        }
        let first = self.variables.len() - pipe.variables.len();
        if let Some(variable) = self.variables.get_mut(first + index) {
            variable.1 = value;
        }
        Ok(())
    }

    fn assign(&mut self, name: &str, value: Value, pipe: &Pipe) -> Result<(), Stop> {
        match self.variables.iter_mut().rfind(|(known, _)| known == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => self.stop_behind(pipe, format!("undefined variable: {name}")),
        }
    }

    /// Stops behind a pipeline: Go then names the word it looked at last.
    fn stop_behind<T>(&self, pipe: &Pipe, why: String) -> Result<T, Stop> {
        match pipe
            .commands
            .last()
            .and_then(|command| command.words.last())
        {
            Some(word) => self.stop(word.at, word, why),
            None => self.stop(pipe.at, pipe, why),
        }
    }

    fn call_template(
        &mut self,
        name: &str,
        argument: Option<&Pipe>,
        at: Offset,
        dot: &Value,
    ) -> Result<(), Stop> {
        let context = format!("{{{{template {name:?}}}}}");
        let Some(body) = self.definitions.get(name) else {
            return self.stop(at, &context, format!("template {name:?} not defined"));
        };
        let limit = self.run.limits.calls;
        if self.calls >= limit {
            return self.stop(
                at,
                &context,
                format!("exceeded maximum template depth ({limit})"),
            );
        }
        let argument = match argument {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        self.calls += 1;
        let outer = std::mem::replace(
            &mut self.variables,
            vec![("$".to_owned(), argument.clone())],
        );
        let outer_name = std::mem::replace(&mut self.name, name.to_owned());
        self.block(body, &argument)?;
        self.variables = outer;
        self.name = outer_name;
        self.calls -= 1;
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Stop> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or_default();
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone(), pipe)?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Stop> {
        let Some((first, arguments)) = command.words.split_first() else {
            return Ok(Value::Nil);
        };
        let spent = self.run.spend(1);
        self.or_stop(spent, first.at, first)?;
        let has_arguments = !arguments.is_empty() || last.is_some();
        match &first.term {
            Term::Function(name) => self.call(name, first, arguments, dot, last),
            Term::Nil => self.stop(first.at, first, "nil is not a command"),
            Term::Field(fields) | Term::Chain { fields, .. } | Term::Variable { fields, .. }
                if has_arguments && !fields.is_empty() =>
            {
                self.argued_member(first, fields, dot)
            }
            _ if has_arguments => self.stop(
                first.at,
                first,
                format!("can't give argument to non-function {first}"),
            ),
            _ => self.operand(first, dot),
        }
    }

    /// Data has no methods with arguments; the error says which kind of member was given some.
    fn argued_member(
        &mut self,
        word: &Operand,
        fields: &[String],
        dot: &Value,
    ) -> Result<Value, Stop> {
        let (field, before) = fields
            .split_last()
            .map_or(("", fields), |(f, b)| (f.as_str(), b));
        let receiver = match &word.term {
            Term::Variable { name, .. } => self.variable(name, word)?,
            Term::Chain { of, .. } => self.operand(of, dot)?,
            _ => dot.clone(),
        };
        let receiver = self.fields(receiver, before, word)?;
        self.field(&receiver, field, word)?;
        let why = match receiver {
            Value::Map(_) | Value::Dict(_) => "is not a method but has arguments",
            _ => "has arguments but cannot be invoked as function",
        };
        self.stop(word.at, word, format!("{field} {why}"))
    }

    fn variable(&self, name: &str, word: &Operand) -> Result<Value, Stop> {
        match self.variables.iter().rfind(|(known, _)| known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.stop(word.at, word, format!("undefined variable: {name}")),
        }
    }

    /// The value of a word where any type will do.
    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Stop> {
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nil),
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::Number(number) => self.number(number, operand),
            Term::Text { value, .. } => Ok(Value::text(value.as_str())),
            Term::Field(fields) => self.fields(dot.clone(), fields, operand),
            Term::Variable { name, fields } => {
                let value = self.variable(name, operand)?;
                self.fields(value, fields, operand)
            }
            Term::Function(name) => self.call(name, operand, &[], dot, None),
            Term::Pipe(pipe) => self.pipe(pipe, dot),
            Term::Chain { of, fields } => {
                let value = self.operand(of, dot)?;
                self.fields(value, fields, operand)
            }
        }
    }

    /// A number without a type around it: a float if it is written as one.
    fn number(&self, number: &Number, operand: &Operand) -> Result<Value, Stop> {
        let written = number.written.as_str();
        let is_hexadecimal = written.contains("0x") || written.contains("0X");
        let is_character = written.starts_with('\'');
        let looks_like_float =
            !is_hexadecimal && !is_character && written.contains(['.', 'e', 'E']);
        match (looks_like_float, number.float, number.integer) {
            (true, Some(value), _) => Ok(Value::Float(value)),
            (_, _, Some(value)) => Ok(Value::Int(value)),
            _ => self.stop(operand.at, operand, format!("{written} overflows int")),
        }
    }

    fn fields(&self, value: Value, fields: &[String], operand: &Operand) -> Result<Value, Stop> {
        let mut value = value;
        for field in fields {
            value = self.field(&value, field, operand)?;
        }
        Ok(value)
    }

    fn field(&self, value: &Value, field: &str, operand: &Operand) -> Result<Value, Stop> {
        let found = match value {
            // A key that a map does not have has no fields either, and is no error.
            Value::Nil => return Ok(Value::Nil),
            Value::Struct(record) => record.member(field).cloned(),
            Value::Map(map) if map.has_text_keys() => {
                return Ok(map.get(&Value::text(field)).cloned().unwrap_or_default());
            }
            Value::Dict(dict) => {
                let entries = self.or_stop(self.run.entries(*dict), operand.at, operand)?;
                return Ok(entries.get(field).cloned().unwrap_or_default());
            }
            _ => None,
        };
        match found {
            Some(found) => Ok(found),
            None => self.stop(
                operand.at,
                operand,
                format!("can't evaluate field {field} in type {}", value.type_name()),
            ),
        }
    }

    fn call(
        &mut self,
        name: &str,
        word: &Operand,
        arguments: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Stop> {
        if name == "and" || name == "or" {
            return self.short_circuit(name, word, arguments, dot, last);
        }
        let Some(function) = function::find(name) else {
            return self.stop(word.at, word, format!("{name:?} is not a defined function"));
        };
        let given = arguments.len() + usize::from(last.is_some());
        let fixed = function.parameters.len();
        if function.rest.is_some() && given < fixed {
            return self.stop(
                word.at,
                &name,
                format!("wrong number of args for {name}: want at least {fixed} got {given}"),
            );
        }
        if function.rest.is_none() && given != fixed {
            return self.stop(
                word.at,
                &name,
                format!("wrong number of args for {name}: want {fixed} got {given}"),
            );
        }
        let mut values = Vec::with_capacity(given);
        for (index, argument) in arguments.iter().enumerate() {
            let kind = kind_at(&function, index);
            values.push(self.argument(argument, kind, dot)?);
        }
        if let Some(last) = last {
            let kind = kind_at(&function, arguments.len());
            values.push(self.validated(last, kind, word)?);
        }
        let result = (function.call)(&mut self.run, &values);
        result.or_else(|Fault(why)| {
            let words = std::iter::once(word).chain(arguments);
            let command = words.map(ToString::to_string).collect::<Vec<_>>().join(" ");
            self.stop(word.at, &command, format!("error calling {name}: {why}"))
        })
    }

    /// `and` and `or` look at no more arguments than they need.
    fn short_circuit(
        &mut self,
        name: &str,
        word: &Operand,
        arguments: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Stop> {
        let mut value = Value::Nil;
        let mut any = false;
        for argument in arguments {
            value = self.operand(argument, dot)?;
            any = true;
            if function::is_true(&self.run, &value) == (name == "or") {
                return Ok(value);
            }
        }
        match last {
            Some(last) => Ok(last),
            None if any => Ok(value),
            None => self.stop(
                word.at,
                &name,
                format!("wrong number of args for {name}: want at least 1 got 0"),
            ),
        }
    }

    /// An argument of a function, in the type the function takes.
    fn argument(&mut self, operand: &Operand, kind: Kind, dot: &Value) -> Result<Value, Stop> {
        match (&operand.term, kind) {
            (Term::Number(number), Kind::Int) => match number.integer {
                Some(value) => Ok(Value::Int(value)),
                None => self.stop(
                    operand.at,
                    operand,
                    format!("expected integer; found {operand}"),
                ),
            },
            (Term::Number(number), Kind::Float) => match number.float {
                Some(value) => Ok(Value::Float(value)),
                None => self.stop(
                    operand.at,
                    operand,
                    format!("expected float; found {operand}"),
                ),
            },
            (Term::Number(_) | Term::Bool(_) | Term::Text { .. }, kind) => {
                let value = self.operand(operand, dot)?;
                if kind.accepts(&value) {
                    return Ok(value);
                }
                self.stop(
                    operand.at,
                    operand,
                    format!("expected {}; found {operand}", kind.name()),
                )
            }
            (Term::Nil, Kind::Any | Kind::Dict) => Ok(Value::Nil),
            (Term::Nil, kind) => self.stop(
                operand.at,
                operand,
                format!("cannot assign nil to {}", kind.name()),
            ),
            _ => {
                let value = self.operand(operand, dot)?;
                self.validated(value, kind, operand)
            }
        }
    }

    fn validated(&self, value: Value, kind: Kind, operand: &Operand) -> Result<Value, Stop> {
        if kind.accepts(&value) {
            return Ok(value);
        }
        let why = match &value {
            Value::Nil => format!("invalid value; expected {}", kind.name()),
            value => format!(
                "wrong type for value; expected {}; got {}",
                kind.name(),
                value.type_name()
            ),
        };
        self.stop(operand.at, operand, why)
    }
}

fn kind_at(function: &Function, index: usize) -> Kind {
    function
        .parameters
        .get(index)
        .copied()
        .or(function.rest)
        .unwrap_or(Kind::Any)
}
