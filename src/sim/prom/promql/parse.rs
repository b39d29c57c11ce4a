//! From tokens to an expression whose types are right.

use regex_lite::Regex;

use super::ast::{Expr, Fold, Many, Matcher, Matching, Op, Selector, Test, Type};
use super::data::{Ms, NAME};
use super::lex::{Token, lex, wrong};
use super::{Error, functions, unsupported};

/// How deep an expression may go: a parser that recurses must not run out of stack.
const DEPTH: usize = 100;

/// Reads an expression.
///
/// # Errors
/// With line and column when it is none, with its name when something is not evaluated here.
pub fn parse(text: &str) -> Result<Expr, Error> {
    let mut p = Parser { text, tokens: lex(text)?, at: 0, selectors: 0, depth: 0 };
    if p.tokens.is_empty() {
        return Err(Error::Parse("unknown position: parse error: no expression found in input".to_owned()));
    }
    let expr = p.binary(0)?;
    match p.peek() {
        None => Ok(expr),
        Some(_) => Err(p.unexpected("")),
    }
}

/// Reads what `match[]` takes: a selector.
///
/// # Errors
/// When it is none.
pub fn matchers(text: &str) -> Result<Vec<Matcher>, Error> {
    match parse(text)? {
        Expr::Selector(s) => Ok(s.matchers),
        _ => Err(Error::Parse(format!("{text:?} is not a series selector"))),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    selectors: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(t, _)| t)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(_, at)| *at)
    }

    fn wrong(&self, message: &str) -> Error {
        wrong(self.text, self.place(), message)
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let got = match self.peek() {
            None => "end of input".to_owned(),
            Some(Token::Word(w)) => format!("{w:?}"),
            Some(Token::Text(t)) => format!("string {t:?}"),
            Some(Token::Number(n)) => format!("number {n}"),
            Some(Token::Span(ms)) => format!("duration of {ms} ms"),
            Some(Token::Sign(s)) => format!("{s:?}"),
        };
        self.wrong(&if wanted.is_empty() {
            format!("unexpected {got}")
        } else {
            format!("unexpected {got}, expected {wanted}")
        })
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Error> {
        if self.sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("{sign:?}"))) }
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn span(&mut self) -> Result<Ms, Error> {
        match self.peek() {
            Some(Token::Span(ms)) => {
                let ms = *ms;
                self.at += 1;
                Ok(ms)
            }
            _ => Err(self.unexpected("a duration")),
        }
    }

    /// Operators that bind at least as strongly as `least`.
    fn binary(&mut self, least: u8) -> Result<Expr, Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong("the expression is nested too deeply"));
        }
        let mut lhs = self.unary()?;
        while let Some((op, strength, right)) = self.operator() {
            if strength < least {
                break;
            }
            self.at += 1;
            let bool = self.keyword("bool");
            if bool && !op.compares() {
                return Err(self.wrong("bool modifier can only be used on comparison operators"));
            }
            let (matching, explicit) = self.matching(op)?;
            let rhs = self.binary(if right { strength } else { strength + 1 })?;
            self.check_operands(op, bool, explicit, &lhs, &rhs)?;
            lhs = Expr::Binary { op, bool, matching, lhs: Box::new(lhs), rhs: Box::new(rhs) };
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn check_operands(&self, op: Op, bool: bool, explicit: bool, lhs: &Expr, rhs: &Expr) -> Result<(), Error> {
        let (l, r) = (lhs.kind(), rhs.kind());
        if [l, r].iter().any(|t| !matches!(t, Type::Scalar | Type::Vector)) {
            return Err(self.wrong("binary expression must contain only scalar and instant vector types"));
        }
        let vectors = l == Type::Vector && r == Type::Vector;
        if op.is_set() && !vectors {
            return Err(self.wrong("set operator not allowed in binary scalar expression"));
        }
        if explicit && !vectors {
            return Err(self.wrong("vector matching only allowed between instant vectors"));
        }
        if op.compares() && l == Type::Scalar && r == Type::Scalar && !bool {
            return Err(self.wrong("comparisons between scalars must use BOOL modifier"));
        }
        Ok(())
    }

    /// The operator ahead, how strongly it binds, and whether to the right.
    fn operator(&self) -> Option<(Op, u8, bool)> {
        Some(match self.peek()? {
            Token::Word(w) => match w.to_ascii_lowercase().as_str() {
                "or" => (Op::Or, 1, false),
                "and" => (Op::And, 2, false),
                "unless" => (Op::Unless, 2, false),
                _ => return None,
            },
            Token::Sign(s) => match *s {
                "==" => (Op::Eq, 3, false),
                "!=" => (Op::Ne, 3, false),
                ">" => (Op::Gt, 3, false),
                "<" => (Op::Lt, 3, false),
                ">=" => (Op::Ge, 3, false),
                "<=" => (Op::Le, 3, false),
                "+" => (Op::Add, 4, false),
                "-" => (Op::Sub, 4, false),
                "*" => (Op::Mul, 5, false),
                "/" => (Op::Div, 5, false),
                "%" => (Op::Mod, 5, false),
                "^" => (Op::Pow, 6, true),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// `on (...) group_left (...)`, and whether there was any of it.
    fn matching(&mut self, op: Op) -> Result<(Matching, bool), Error> {
        let mut m = Matching::default();
        let on = self.keyword("on");
        if !on && !self.keyword("ignoring") {
            return Ok((m, false));
        }
        m.on = on;
        m.labels = self.names()?;
        m.many = if self.keyword("group_left") {
            Many::Left
        } else if self.keyword("group_right") {
            Many::Right
        } else {
            Many::None
        };
        if m.many != Many::None {
            if op.is_set() {
                return Err(self.wrong("no grouping allowed for set operations"));
            }
            if matches!(self.peek(), Some(Token::Sign("("))) {
                m.include = self.names()?;
            }
        }
        Ok((m, true))
    }

    /// `(a, b)`
    fn names(&mut self) -> Result<Vec<String>, Error> {
        self.expect("(")?;
        let mut out = Vec::new();
        while !self.sign(")") {
            match self.peek() {
                Some(Token::Word(w)) => out.push(w.clone()),
                _ => return Err(self.unexpected("a label")),
            }
            self.at += 1;
            if !self.sign(",") && !matches!(self.peek(), Some(Token::Sign(")"))) {
                return Err(self.unexpected("\",\" or \")\""));
            }
        }
        Ok(out)
    }

    /// A sign binds less strongly than `^` and more than `*`.
    fn unary(&mut self) -> Result<Expr, Error> {
        if self.sign("-") {
            let inner = self.binary(6)?;
            if !matches!(inner.kind(), Type::Scalar | Type::Vector) {
                return Err(self.wrong("unary expression only allowed on expressions of type scalar or instant vector"));
            }
            return Ok(match inner {
                Expr::Number(n) => Expr::Number(-n),
                other => Expr::Negative(Box::new(other)),
            });
        }
        if self.sign("+") {
            return self.binary(6);
        }
        let from = self.place();
        let expr = self.primary()?;
        self.postfix(expr, from)
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected("an expression")) };
        match token {
            Token::Number(n) => {
                self.at += 1;
                Ok(Expr::Number(n))
            }
            Token::Text(t) => {
                self.at += 1;
                Ok(Expr::Text(t))
            }
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.binary(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("{") => self.selector(None),
            Token::Word(w) => {
                self.at += 1;
                let next = self.peek();
                let opens = matches!(next, Some(Token::Sign("(")));
                let grouped = matches!(next, Some(Token::Word(b)) if ["by", "without"].contains(&b.to_ascii_lowercase().as_str()));
                match fold_of(&w) {
                    Some(fold) if opens || grouped => self.fold(fold),
                    None if opens => self.call(&w),
                    _ => self.selector(Some(w)),
                }
            }
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn fold(&mut self, fold: Fold) -> Result<Expr, Error> {
        let mut by = self.grouping()?;
        self.expect("(")?;
        let mut args = self.args()?;
        if by.is_none() {
            by = self.grouping()?;
        }
        let wants = if matches!(fold, Fold::TopK | Fold::BottomK | Fold::Quantile) { 2 } else { 1 };
        if args.len() != wants {
            return Err(self.wrong(&format!(
                "wrong number of arguments for aggregate expression provided, expected {wants}, got {}",
                args.len()
            )));
        }
        let Some(expr) = args.pop() else { return Err(self.unexpected("an expression")) };
        if expr.kind() != Type::Vector {
            return Err(self.wrong(&format!(
                "expected type instant vector in aggregation expression, got {}",
                expr.kind().word()
            )));
        }
        let param = args.pop();
        if param.as_ref().is_some_and(|p| p.kind() != Type::Scalar) {
            return Err(self.wrong("expected type scalar in aggregation parameter"));
        }
        Ok(Expr::Fold { fold, by, param: param.map(Box::new), expr: Box::new(expr) })
    }

    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, Error> {
        if self.keyword("by") {
            return Ok(Some((true, self.names()?)));
        }
        if self.keyword("without") {
            return Ok(Some((false, self.names()?)));
        }
        Ok(None)
    }

    /// Arguments up to the closing bracket; the opening one has gone.
    fn args(&mut self) -> Result<Vec<Expr>, Error> {
        let mut out = Vec::new();
        while !self.sign(")") {
            out.push(self.binary(0)?);
            if !self.sign(",") && !matches!(self.peek(), Some(Token::Sign(")"))) {
                return Err(self.unexpected("\",\" or \")\""));
            }
        }
        Ok(out)
    }

    fn call(&mut self, name: &str) -> Result<Expr, Error> {
        let Some(signature) = functions::signature(name) else {
            return Err(if functions::is_known(name) {
                unsupported(&format!("the function {name}()"))
            } else {
                self.wrong(&format!("unknown function with name {name:?}"))
            });
        };
        self.expect("(")?;
        let args = self.args()?;
        if args.len() < signature.least || args.len() > signature.takes.len() {
            return Err(self.wrong(&format!(
                "expected {} argument(s) in call to {name:?}, got {}",
                signature.least,
                args.len()
            )));
        }
        for (arg, wanted) in args.iter().zip(signature.takes) {
            if arg.kind() != *wanted {
                let (w, g) = (wanted.word(), arg.kind().word());
                return Err(self.wrong(&format!("expected type {w} in call to function {name:?}, got {g}")));
            }
        }
        Ok(Expr::Call { name: name.to_owned(), args })
    }

    fn selector(&mut self, name: Option<String>) -> Result<Expr, Error> {
        let mut matchers = Vec::new();
        if let Some(value) = name {
            matchers.push(Matcher { name: NAME.to_owned(), test: Test::Is, value });
        }
        if self.sign("{") {
            while !self.sign("}") {
                matchers.push(self.matcher()?);
                if !self.sign(",") && !matches!(self.peek(), Some(Token::Sign("}"))) {
                    return Err(self.unexpected("\",\" or \"}\""));
                }
            }
        }
        if matchers.iter().all(|m| m.accepts("")) {
            return Err(self.wrong("vector selector must contain at least one non-empty matcher"));
        }
        self.selectors += 1;
        Ok(Expr::Selector(Selector { id: self.selectors - 1, matchers, offset: 0 }))
    }

    fn matcher(&mut self) -> Result<Matcher, Error> {
        let name = match self.peek() {
            Some(Token::Word(w) | Token::Text(w)) => w.clone(),
            _ => return Err(self.unexpected("a label")),
        };
        self.at += 1;
        let sign = match self.peek() {
            Some(Token::Sign(s @ ("=" | "!=" | "=~" | "!~"))) => *s,
            _ => return Err(self.unexpected("\"=\", \"!=\", \"=~\" or \"!~\"")),
        };
        self.at += 1;
        let value = match self.peek() {
            Some(Token::Text(t)) => t.clone(),
            _ => return Err(self.unexpected("a string")),
        };
        let regex =
            || Regex::new(&format!("^(?s:{value})$")).map_err(|e| self.wrong(&format!("error parsing regexp: {e}")));
        let test = match sign {
            "=" => Test::Is,
            "!=" => Test::IsNot,
            "=~" => Test::Like(regex()?),
            _ => Test::Unlike(regex()?),
        };
        self.at += 1;
        Ok(Matcher { name, test, value })
    }

    /// Ranges, subqueries and offsets behind an expression.
    fn postfix(&mut self, mut expr: Expr, from: usize) -> Result<Expr, Error> {
        loop {
            let upto = self.place();
            if self.sign("[") {
                let range = self.span()?;
                if range == 0 {
                    return Err(self.wrong("duration must be greater than 0"));
                }
                if self.sign("]") {
                    expr = match expr {
                        Expr::Selector(s) if s.offset == 0 => Expr::Range(s, range),
                        _ => return Err(self.wrong("ranges only allowed for vector selectors")),
                    };
                    continue;
                }
                self.expect(":")?;
                let step = if matches!(self.peek(), Some(Token::Span(_))) { Some(self.span()?) } else { None };
                self.expect("]")?;
                if expr.kind() != Type::Vector {
                    return Err(self.wrong(&format!(
                        "subquery is only allowed on instant vector, got {} instead",
                        expr.kind().word()
                    )));
                }
                let key = self.text.get(from..upto).unwrap_or(self.text).trim().to_owned();
                expr = Expr::Subquery { expr: Box::new(expr), range, step, offset: 0, key };
            } else if self.keyword("offset") {
                let back = if self.sign("-") { -self.span()? } else { self.span()? };
                match &mut expr {
                    Expr::Selector(s) | Expr::Range(s, _) => s.offset = back,
                    Expr::Subquery { offset, .. } => *offset = back,
                    _ => return Err(self.wrong("offset modifier must be preceded by an instant vector selector or range vector selector or a subquery")),
                }
            } else if matches!(self.peek(), Some(Token::Sign("@"))) {
                return Err(unsupported("the @ modifier"));
            } else {
                return Ok(expr);
            }
        }
    }
}

fn fold_of(word: &str) -> Option<Fold> {
    Some(match word.to_ascii_lowercase().as_str() {
        "sum" => Fold::Sum,
        "avg" => Fold::Avg,
        "min" => Fold::Min,
        "max" => Fold::Max,
        "count" => Fold::Count,
        "group" => Fold::Group,
        "topk" => Fold::TopK,
        "bottomk" => Fold::BottomK,
        "quantile" => Fold::Quantile,
        "stddev" => Fold::Stddev,
        "stdvar" => Fold::Stdvar,
        _ => return None,
    })
}
