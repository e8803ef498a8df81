//! Builds a template's nodes from its words.

use super::lexer::{Piece, Token, Wrong, pieces};
use super::syntax::{Block, Branch, Command, Definitions, Node, Offset, Operand, Pipe, Term};

/// How deep actions and parentheses may nest.
const MAX_DEPTH: usize = 100;

/// Parses a template: its own body, and the templates it defines.
///
/// `check_function` knows the names that may be called, and says why another may not.
pub(super) fn parse(
    text: &str,
    check_function: &dyn Fn(&str) -> Result<(), String>,
) -> Result<(Block, Definitions), Wrong> {
    let mut parser = Parser {
        pieces: pieces(text)?.into_iter(),
        check_function,
        variables: vec!["$".to_owned()],
        definitions: Definitions::new(),
        depth: 0,
        ranges: 0,
        end: text.len(),
    };
    let (body, end) = parser.block(true)?;
    match end {
        End::OfText => Ok((body, parser.definitions)),
        End::Close(at) => Err(Wrong::new(at, "unexpected {{end}}")),
        End::Else(_, at) => Err(Wrong::new(at, "unexpected {{else}}")),
    }
}

/// What a block ended with.
enum End {
    OfText,
    Close(Offset),
    /// `else`, with what follows it in the same action.
    Else(Words, Offset),
}

/// The words of one action, read from the left.
struct Words {
    tokens: Vec<(Token, Offset)>,
    next: usize,
}

impl Words {
    fn peek(&self) -> Option<&(Token, Offset)> {
        self.tokens.get(self.next)
    }

    fn next(&mut self) -> Option<(Token, Offset)> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }
}

struct Parser<'f> {
    pieces: std::vec::IntoIter<Piece>,
    check_function: &'f dyn Fn(&str) -> Result<(), String>,
    variables: Vec<String>,
    definitions: Definitions,
    depth: usize,
    ranges: usize,
    end: Offset,
}

impl Parser<'_> {
    fn block(&mut self, top: bool) -> Result<(Block, End), Wrong> {
        let mut block = Block::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, at) = match piece {
                Piece::Text(text) => {
                    block.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens, at) => (tokens, at),
            };
            let mut words = Words { tokens, next: 0 };
            skip_space(&mut words);
            let keyword = match words.peek() {
                Some((Token::Word(word), _)) => word.clone(),
                _ => String::new(),
            };
            if matches!(
                keyword.as_str(),
                "if" | "with"
                    | "range"
                    | "define"
                    | "block"
                    | "template"
                    | "else"
                    | "end"
                    | "break"
                    | "continue"
            ) {
                words.next();
            }
            match keyword.as_str() {
                "if" | "with" | "range" => block.push(self.control(&keyword, &mut words, at)?),
                "define" if top => self.define(&mut words, at)?,
                "define" => return Err(Wrong::new(at, "unexpected <define> in command")),
                "block" => block.push(self.block_action(&mut words, at)?),
                "template" => block.push(self.template(&mut words, at)?),
                "end" => {
                    finish(&mut words, "end")?;
                    return Ok((block, End::Close(at)));
                }
                "else" => return Ok((block, End::Else(words, at))),
                "break" | "continue" => {
                    finish(&mut words, &keyword)?;
                    if self.ranges == 0 {
                        return Err(Wrong::new(
                            at,
                            format!("{{{{{keyword}}}}} outside {{{{range}}}}"),
                        ));
                    }
                    block.push(if keyword == "break" {
                        Node::Break
                    } else {
                        Node::Continue
                    });
                }
                _ => {
                    let pipe = self.pipe(&mut words, at, "command", 1)?;
                    finish(&mut words, "command")?;
                    block.push(Node::Action(pipe));
                }
            }
        }
        Ok((block, End::OfText))
    }

    fn deeper(&mut self, at: Offset) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Wrong::new(
                at,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        Ok(())
    }

    /// `if`, `with` and `range`, up to their `end`.
    fn control(&mut self, keyword: &str, words: &mut Words, at: Offset) -> Result<Node, Wrong> {
        self.deeper(at)?;
        let scope = self.variables.len();
        let variables = if keyword == "range" { 2 } else { 1 };
        let pipe = self.pipe(words, at, keyword, variables)?;
        finish(words, keyword)?;
        if keyword == "range" {
            self.ranges += 1;
        }
        let (then, end) = self.block(false)?;
        if keyword == "range" {
            self.ranges -= 1;
        }
        let otherwise = match end {
            End::Close(_) => None,
            End::OfText => return Err(Wrong::new(self.end, "unexpected EOF")),
            End::Else(mut words, at) => Some(self.otherwise(keyword, &mut words, at)?),
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        let branch = Branch {
            pipe,
            then,
            otherwise,
        };
        Ok(match keyword {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    /// What follows `else`: a block, or for `else if` and `else with` one action that ends both.
    fn otherwise(&mut self, keyword: &str, words: &mut Words, at: Offset) -> Result<Block, Wrong> {
        skip_space(words);
        if let Some((Token::Word(next), _)) = words.peek()
            && (keyword == "if" || keyword == "with")
            && next == keyword
        {
            words.next();
            return Ok(vec![self.control(keyword, words, at)?]);
        }
        finish(words, "else")?;
        match self.block(false)? {
            (block, End::Close(_)) => Ok(block),
            (_, End::Else(_, at)) => Err(Wrong::new(at, "expected end; found {{else}}")),
            (_, End::OfText) => Err(Wrong::new(self.end, "unexpected EOF")),
        }
    }

    fn define(&mut self, words: &mut Words, at: Offset) -> Result<(), Wrong> {
        let (name, _) = template_name(words, at, "define clause")?;
        finish(words, "define clause")?;
        let body = self.definition(at)?;
        self.add(name, body, at)
    }

    /// Keeps a template. As in Go, only one with nothing in it gives way, and one with nothing in it never wins.
    fn add(&mut self, name: String, body: Block, at: Offset) -> Result<(), Wrong> {
        let is_empty = |block: &Block| {
            block
                .iter()
                .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
        };
        match self.definitions.get(&name) {
            Some(known) if !is_empty(known) => {
                if !is_empty(&body) {
                    let why = format!("template: multiple definition of template {name:?}");
                    return Err(Wrong::new(at, why));
                }
            }
            _ => {
                self.definitions.insert(name, body);
            }
        }
        Ok(())
    }

    /// A template's body: it sees none of the variables around it.
    fn definition(&mut self, at: Offset) -> Result<Block, Wrong> {
        self.deeper(at)?;
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, end) = self.block(false)?;
        self.variables = outer;
        self.ranges = ranges;
        self.depth -= 1;
        match end {
            End::Close(_) => Ok(body),
            End::Else(_, at) => Err(Wrong::new(at, "unexpected {{else}} in define clause")),
            End::OfText => Err(Wrong::new(self.end, "unexpected EOF in define clause")),
        }
    }

    fn block_action(&mut self, words: &mut Words, at: Offset) -> Result<Node, Wrong> {
        let (name, name_at) = template_name(words, at, "block clause")?;
        let argument = Some(self.pipe(words, at, "block clause", 1)?);
        finish(words, "block clause")?;
        let body = self.definition(at)?;
        self.add(name.clone(), body, at)?;
        Ok(Node::Template {
            name,
            argument,
            at: name_at,
        })
    }

    fn template(&mut self, words: &mut Words, at: Offset) -> Result<Node, Wrong> {
        let (name, name_at) = template_name(words, at, "template clause")?;
        skip_space(words);
        let argument = if words.peek().is_some() {
            Some(self.pipe(words, at, "template clause", 1)?)
        } else {
            None
        };
        finish(words, "template clause")?;
        Ok(Node::Template {
            name,
            argument,
            at: name_at,
        })
    }

    /// A pipeline, up to the end of the action or the closing parenthesis.
    fn pipe(
        &mut self,
        words: &mut Words,
        at: Offset,
        context: &str,
        max_variables: usize,
    ) -> Result<Pipe, Wrong> {
        skip_space(words);
        let mut pipe = Pipe {
            variables: Vec::new(),
            assigns: false,
            commands: Vec::new(),
            at: words.peek().map_or(at, |(_, at)| *at),
        };
        declarations(words, &mut pipe, context, max_variables)?;
        loop {
            let command = self.command(words, context)?;
            if let Some(first) = command.words.first()
                && !pipe.commands.is_empty()
                && matches!(
                    first.term,
                    Term::Dot | Term::Nil | Term::Bool(_) | Term::Number(_) | Term::Text { .. }
                )
            {
                return Err(Wrong::new(
                    first.at,
                    format!(
                        "non executable command in pipeline stage {}",
                        pipe.commands.len() + 1
                    ),
                ));
            }
            if command.words.is_empty() {
                match words.peek() {
                    Some((token @ Token::Pipe, at)) => {
                        return Err(Wrong::new(
                            *at,
                            format!("unexpected {} in {context}", written(token)),
                        ));
                    }
                    // As Go does, a pipe may end in nothing.
                    _ if !pipe.commands.is_empty() => break,
                    other => {
                        let at = other.map_or(at, |(_, at)| *at);
                        return Err(Wrong::new(at, format!("missing value for {context}")));
                    }
                }
            }
            pipe.commands.push(command);
            skip_space(words);
            match words.peek() {
                Some((Token::Pipe, _)) => {
                    words.next();
                }
                _ => break,
            }
        }
        // Variables become visible behind their own pipeline.
        if !pipe.assigns {
            self.variables.extend(pipe.variables.iter().cloned());
        }
        Ok(pipe)
    }

    fn known(&self, name: &str, at: Offset) -> Result<(), Wrong> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(Wrong::new(at, format!("undefined variable {name:?}")))
    }

    fn command(&mut self, words: &mut Words, context: &str) -> Result<Command, Wrong> {
        let mut command = Command { words: Vec::new() };
        loop {
            let spaced = skip_space(words) || command.words.is_empty();
            match words.peek() {
                None | Some((Token::Pipe | Token::Close, _)) => return Ok(command),
                Some((token @ (Token::Comma | Token::Declare | Token::Assign), at)) => {
                    return Err(Wrong::new(
                        *at,
                        format!("unexpected {} in {context}", written(token)),
                    ));
                }
                Some((token, at)) if !spaced => {
                    return Err(Wrong::new(
                        *at,
                        format!("unexpected {} in operand", written(token)),
                    ));
                }
                Some(_) => {}
            }
            if let Some((token, at)) = words.next() {
                command.words.push(self.operand(words, token, at)?);
            }
        }
    }

    fn operand(&mut self, words: &mut Words, token: Token, at: Offset) -> Result<Operand, Wrong> {
        let term = match token {
            Token::Dot => Term::Dot,
            Token::Number(number) => Term::Number(number),
            Token::Text { value, written } => Term::Text { value, written },
            Token::Word(word) => match word.as_str() {
                "true" => Term::Bool(true),
                "false" => Term::Bool(false),
                "nil" => Term::Nil,
                _ => {
                    (self.check_function)(&word).map_err(|why| Wrong::new(at, why))?;
                    Term::Function(word)
                }
            },
            Token::Field(name) => Term::Field(vec![name]),
            Token::Variable(name) => {
                self.known(&name, at)?;
                Term::Variable {
                    name,
                    fields: Vec::new(),
                }
            }
            Token::Open => {
                self.deeper(at)?;
                let pipe = self.pipe(words, at, "parenthesized pipeline", 1)?;
                match words.next() {
                    Some((Token::Close, _)) => {}
                    Some((token, at)) => {
                        return Err(Wrong::new(at, format!("unexpected {}", written(&token))));
                    }
                    None => return Err(Wrong::new(at, "unclosed left paren")),
                }
                self.depth -= 1;
                Term::Pipe(Box::new(pipe))
            }
            token => return Err(Wrong::new(at, format!("unexpected {}", written(&token)))),
        };
        let mut operand = Operand { term, at };
        let mut chain = Vec::new();
        // As in Go, the place of `.A.B` is that of `.B`.
        let mut chain_at = at;
        while let Some((Token::Field(_), _)) = words.peek() {
            if let Some((Token::Field(name), at)) = words.next() {
                if chain.is_empty() {
                    chain_at = at;
                }
                chain.push(name);
            }
        }
        if chain.is_empty() {
            return Ok(operand);
        }
        operand.at = chain_at;
        match &mut operand.term {
            Term::Field(fields) | Term::Variable { fields, .. } => fields.append(&mut chain),
            Term::Pipe(_) | Term::Function(_) => {
                operand = Operand {
                    term: Term::Chain {
                        of: Box::new(operand),
                        fields: chain,
                    },
                    at: chain_at,
                };
            }
            _ => {
                return Err(Wrong::new(
                    chain_at,
                    format!("unexpected . after term {:?}", operand.to_string()),
                ));
            }
        }
        Ok(operand)
    }
}

/// The variables that a pipeline sets, if it sets any.
fn declarations(
    words: &mut Words,
    pipe: &mut Pipe,
    context: &str,
    max_variables: usize,
) -> Result<(), Wrong> {
    let start = words.next;
    while let Some((Token::Variable(name), at)) = words.next() {
        skip_space(words);
        pipe.variables.push(name.clone());
        match words.next() {
            Some((Token::Declare, _)) => return too_many(pipe, at, context, max_variables),
            Some((Token::Assign, _)) => {
                pipe.assigns = true;
                return too_many(pipe, at, context, max_variables);
            }
            Some((Token::Comma, _)) => {
                if pipe.variables.len() >= max_variables {
                    return Err(Wrong::new(
                        at,
                        format!("too many declarations in {context}"),
                    ));
                }
                skip_space(words);
            }
            _ => break,
        }
    }
    if pipe.variables.len() > 1 {
        return Err(Wrong::new(pipe.at, format!("missing := in {context}")));
    }
    pipe.variables.clear();
    words.next = start;
    Ok(())
}

fn too_many(pipe: &Pipe, at: Offset, context: &str, max: usize) -> Result<(), Wrong> {
    if pipe.variables.len() > max {
        return Err(Wrong::new(
            at,
            format!("too many declarations in {context}"),
        ));
    }
    Ok(())
}

fn skip_space(words: &mut Words) -> bool {
    let mut skipped = false;
    while matches!(words.peek(), Some((Token::Space, _))) {
        words.next();
        skipped = true;
    }
    skipped
}

/// Nothing may follow in this action.
fn finish(words: &mut Words, context: &str) -> Result<(), Wrong> {
    skip_space(words);
    match words.next() {
        None => Ok(()),
        Some((token, at)) => Err(Wrong::new(
            at,
            format!("unexpected {} in {context}", written(&token)),
        )),
    }
}

fn template_name(words: &mut Words, at: Offset, context: &str) -> Result<(String, Offset), Wrong> {
    skip_space(words);
    match words.next() {
        Some((Token::Text { value, .. }, at)) => Ok((value, at)),
        Some((token, at)) => Err(Wrong::new(
            at,
            format!("unexpected {} in {context}", written(&token)),
        )),
        None => Err(Wrong::new(at, format!("unexpected \"}}}}\" in {context}"))),
    }
}

fn written(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("<{word}>"),
        Token::Field(name) => format!("<.{name}>"),
        Token::Variable(name) => format!("<{name}>"),
        Token::Text { written, .. } => format!("{written:?}"),
        Token::Number(number) => format!("{:?}", number.written),
        Token::Dot => "<.>".to_owned(),
        Token::Pipe => "\"|\"".to_owned(),
        Token::Open => "\"(\"".to_owned(),
        Token::Close => "\")\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
        Token::Declare => "\":=\"".to_owned(),
        Token::Assign => "\"=\"".to_owned(),
        Token::Space => "space".to_owned(),
    }
}
