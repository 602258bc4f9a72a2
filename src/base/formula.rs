//! Formulas over named numbers: `(queue + orders) / 2`, `night > 0 ? 1 : max(queue, orders)`.
//!
//! ```text
//! choice ─► or ─► and ─► comparison ─► sum ─► product ─► power ─► sign ─► number | name | f(…) | [ … ]
//! ```
//!
//! The part of the language of expr-lang/expr v1.17 that says something of numbers: arithmetic,
//! comparisons, `&& || !` (`and or not`), `a ? b : c`, lists, and the functions `min max sum mean
//! median abs ceil floor round int float len`; `count any all none` take a list and a condition in
//! braces in which `#` is the element. Truth is 1 or 0. Differs: no texts, maps, pipes or dates.

use crate::base::math;

/// A formula, read once and worked out often.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    root: Node,
    names: Vec<String>,
}

/// Why a text is no formula: what is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormulaError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes from the start.
    pub at: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    /// By its place among the names.
    Name(usize),
    Element,
    List(Vec<Self>),
    Unary(Unary, Box<Self>),
    Binary(Binary, Box<(Self, Self)>),
    Choice(Box<(Self, Self, Self)>),
    Call(Function, Vec<Self>),
    /// A list and what is asked of each of its elements.
    Each(Ask, Box<(Self, Self)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unary {
    Minus,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Min,
    Max,
    Sum,
    Mean,
    Median,
    Abs,
    Ceil,
    Floor,
    Round,
    Int,
    Float,
    Len,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Count,
    Any,
    All,
    None,
}

/// What a part of a formula is worth.
enum Worth {
    One(f64),
    Many(Vec<f64>),
}

const FUNCTIONS: [(&str, Function); 12] = [
    ("min", Function::Min),
    ("max", Function::Max),
    ("sum", Function::Sum),
    ("mean", Function::Mean),
    ("median", Function::Median),
    ("abs", Function::Abs),
    ("ceil", Function::Ceil),
    ("floor", Function::Floor),
    ("round", Function::Round),
    ("int", Function::Int),
    ("float", Function::Float),
    ("len", Function::Len),
];

const ASKS: [(&str, Ask); 4] =
    [("count", Ask::Count), ("any", Ask::Any), ("all", Ask::All), ("none", Ask::None)];

/// Operators by strength, the weakest first; of one row the longer ones first.
const LEVELS: [&[(&str, Binary)]; 6] = [
    &[("||", Binary::Or), ("or", Binary::Or)],
    &[("&&", Binary::And), ("and", Binary::And)],
    &[
        ("==", Binary::Equal),
        ("!=", Binary::Unequal),
        ("<=", Binary::AtMost),
        (">=", Binary::AtLeast),
        ("<", Binary::Less),
        (">", Binary::More),
    ],
    &[("+", Binary::Plus), ("-", Binary::Minus)],
    &[("*", Binary::Times), ("/", Binary::Over), ("%", Binary::Modulo)],
    &[("**", Binary::Power), ("^", Binary::Power)],
];

/// Brackets in brackets at most.
const DEPTH_MAX: usize = 64;
/// Operators at most: each may stand below the one before it, and a formula is read and worked out
/// by calls that nest as deep.
const OPERATORS_MAX: usize = 500;

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        let mut reader =
            Reader { text, at: 0, names: Vec::new(), depth: 0, operators: 0, in_braces: false };
        let root = reader.choice()?;
        reader.blanks();
        if reader.at < text.len() {
            return Err(reader.wrong(format!("\"{}\" is not expected here", reader.word())));
        }
        Ok(Self { root, names: reader.names })
    }

    /// The names that it asks for, each once, in order of their first place.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What it is worth if its names are worth this, in their order; a number that is none
    /// (a division by zero) is not finite.
    #[must_use]
    pub fn value(&self, names: &[f64]) -> f64 {
        one(&self.root.worth(names, f64::NAN))
    }
}

fn one(worth: &Worth) -> f64 {
    match worth {
        Worth::One(number) => *number,
        Worth::Many(_) => f64::NAN,
    }
}

const fn truth(is_true: bool) -> f64 {
    if is_true { 1.0 } else { 0.0 }
}

impl Node {
    fn worth(&self, names: &[f64], element: f64) -> Worth {
        let number = |node: &Self| one(&node.worth(names, element));
        Worth::One(match self {
            Self::Number(number) => *number,
            Self::Name(index) => names.get(*index).copied().unwrap_or(f64::NAN),
            Self::Element => element,
            Self::List(all) => return Worth::Many(all.iter().map(number).collect()),
            Self::Unary(Unary::Minus, of) => -number(of),
            Self::Unary(Unary::Not, of) => truth(!holds(number(of))),
            Self::Binary(operator, sides) => {
                return Worth::One(operator.of(number(&sides.0), || number(&sides.1)));
            }
            Self::Choice(parts) => {
                number(if holds(number(&parts.0)) { &parts.1 } else { &parts.2 })
            }
            Self::Call(function, args) => {
                let worths = args.iter().map(|arg| arg.worth(names, element));
                let all: Vec<f64> = worths.flat_map(Worth::numbers).collect();
                function.of(&all)
            }
            Self::Each(ask, parts) => {
                let all = parts.0.worth(names, element).numbers();
                let count =
                    all.iter().filter(|element| holds(one(&parts.1.worth(names, **element))));
                ask.of(count.count(), all.len())
            }
        })
    }
}

fn holds(number: f64) -> bool {
    number.abs() > 0.0
}

impl Worth {
    fn numbers(self) -> Vec<f64> {
        match self {
            Self::One(number) => vec![number],
            Self::Many(all) => all,
        }
    }
}

impl Ask {
    fn of(self, count: usize, all: usize) -> f64 {
        match self {
            Self::Count => super::cast::f64_of_usize(count),
            Self::Any => truth(count > 0),
            Self::All => truth(count == all),
            Self::None => truth(count == 0),
        }
    }
}

impl Binary {
    /// The second side of `&&` and `||` is worked out only if it counts.
    fn of(self, a: f64, b: impl FnOnce() -> f64) -> f64 {
        match self {
            Self::Or => truth(holds(a) || holds(b())),
            Self::And => truth(holds(a) && holds(b())),
            Self::Equal => truth((a - b()).abs() <= 0.0),
            Self::Unequal => truth((a - b()).abs() > 0.0),
            Self::Less => truth(a < b()),
            Self::AtMost => truth(a <= b()),
            Self::More => truth(a > b()),
            Self::AtLeast => truth(a >= b()),
            Self::Plus => a + b(),
            Self::Minus => a - b(),
            Self::Times => a * b(),
            Self::Over => a / b(),
            Self::Modulo => a % b(),
            Self::Power => power(a, b()),
        }
    }
}

/// Whole powers by multiplication, others by logarithms.
fn power(base: f64, exponent: f64) -> f64 {
    let is_whole = (exponent - exponent.trunc()).abs() <= 0.0 && exponent.abs() <= 1024.0;
    if is_whole {
        let times = super::cast::u64_trunc(exponent.abs());
        let product = (0..times).fold(1.0, |product, _| product * base);
        return if exponent < 0.0 { 1.0 / product } else { product };
    }
    if base > 0.0 { math::exp(exponent * math::ln(base)) } else { f64::NAN }
}

impl Function {
    fn of(self, all: &[f64]) -> f64 {
        let first = all.first().copied().unwrap_or(f64::NAN);
        match self {
            Self::Min => all.iter().copied().reduce(f64::min).unwrap_or(f64::NAN),
            Self::Max => all.iter().copied().reduce(f64::max).unwrap_or(f64::NAN),
            Self::Sum => all.iter().sum(),
            Self::Mean => all.iter().sum::<f64>() / super::cast::f64_of_usize(all.len()),
            Self::Median => median(all.to_vec()),
            Self::Abs => first.abs(),
            Self::Ceil => first.ceil(),
            Self::Floor => first.floor(),
            Self::Round => first.round(),
            Self::Int => first.trunc(),
            Self::Float => first,
            Self::Len => super::cast::f64_of_usize(all.len()),
        }
    }

    const fn takes_one(self) -> bool {
        matches!(self, Self::Abs | Self::Ceil | Self::Floor | Self::Round | Self::Int | Self::Float)
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    match all.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => all[middle],
        _ => f64::midpoint(all[middle - 1], all[middle]),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    names: Vec<String>,
    depth: usize,
    operators: usize,
    in_braces: bool,
}

type Read = Result<Node, FormulaError>;

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn wrong(&self, message: String) -> FormulaError {
        FormulaError { message, at: self.at }
    }

    /// What stands here, for a message.
    fn word(&self) -> String {
        let rest = self.rest();
        let name = rest.len() - rest.trim_start_matches(is_of_name).len();
        let end = if name > 0 { name } else { rest.chars().next().map_or(0, char::len_utf8) };
        rest[..end].to_owned()
    }

    /// Takes this if it stands here; of a word only the whole.
    fn take(&mut self, text: &str) -> bool {
        self.blanks();
        let Some(after) = self.rest().strip_prefix(text) else { return false };
        let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_word && after.starts_with(is_of_name) || text == "*" && after.starts_with('*') {
            return false;
        }
        self.at += text.len();
        true
    }

    fn expect(&mut self, text: &str) -> Result<(), FormulaError> {
        if self.take(text) {
            return Ok(());
        }
        Err(self.wrong(match self.word().as_str() {
            "" => format!("the formula ends where \"{text}\" is expected"),
            word => format!("expected \"{text}\", not \"{word}\""),
        }))
    }

    fn choice(&mut self) -> Read {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong(format!("brackets nest deeper than {DEPTH_MAX}")));
        }
        let condition = self.level(0)?;
        let node = if self.take("?") {
            let then = self.choice()?;
            self.expect(":")?;
            Node::Choice(Box::new((condition, then, self.choice()?)))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn level(&mut self, level: usize) -> Read {
        let Some(operators) = LEVELS.get(level) else { return self.sign() };
        let mut left = self.level(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(text, _)| self.take(text)) {
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                return Err(self.wrong(format!("there are more than {OPERATORS_MAX} operators")));
            }
            // Powers bind to the right.
            let next = if *operator == Binary::Power { level } else { level + 1 };
            let right = self.level(next)?;
            left = Node::Binary(*operator, Box::new((left, right)));
        }
        Ok(left)
    }

    fn sign(&mut self) -> Read {
        let mut signs = Vec::new();
        loop {
            if self.take("-") {
                signs.push(Unary::Minus);
            } else if self.take("!") || self.take("not") {
                signs.push(Unary::Not);
            } else if !self.take("+") {
                break;
            }
            if signs.len() > DEPTH_MAX {
                return Err(self.wrong("too many signs".to_owned()));
            }
        }
        let node = self.plain()?;
        Ok(signs.into_iter().rev().fold(node, |node, sign| Node::Unary(sign, Box::new(node))))
    }

    fn plain(&mut self) -> Read {
        if self.take("(") {
            let inner = self.choice()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.take("[") {
            return Ok(Node::List(self.several("]")?));
        }
        if self.in_braces && self.take("#") {
            return Ok(Node::Element);
        }
        self.blanks();
        if self.rest().starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        self.name()
    }

    fn number(&mut self) -> Read {
        let rest = self.rest();
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '_');
        let text = &rest[..rest.len() - digits.len()];
        let Ok(number) = text.replace('_', "").parse::<f64>() else {
            return Err(self.wrong(format!("\"{text}\" is no number")));
        };
        self.at += text.len();
        Ok(Node::Number(number))
    }

    fn name(&mut self) -> Read {
        let name = self.word();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(self.wrong(match name.as_str() {
                "" => "the formula ends where a number or a name is expected".to_owned(),
                other => format!("expected a number or a name, not \"{other}\""),
            }));
        }
        let place = self.at;
        self.at += name.len();
        match name.as_str() {
            "true" => return Ok(Node::Number(1.0)),
            "false" => return Ok(Node::Number(0.0)),
            _ => {}
        }
        if !self.take("(") {
            let known = self.names.iter().position(|known| *known == name);
            return Ok(Node::Name(known.unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            })));
        }
        if let Some((_, ask)) = ASKS.iter().find(|(known, _)| *known == name) {
            return self.each(*ask);
        }
        let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            let all: Vec<&str> =
                FUNCTIONS.iter().map(|f| f.0).chain(ASKS.iter().map(|a| a.0)).collect();
            let message = format!("no function is called \"{name}\"; there are {}", all.join(", "));
            return Err(FormulaError { message, at: place });
        };
        let args = self.several(")")?;
        if args.is_empty() || function.takes_one() && args.len() > 1 {
            let many = if args.is_empty() { "something" } else { "one number" };
            return Err(FormulaError { message: format!("{name} takes {many}"), at: place });
        }
        Ok(Node::Call(*function, args))
    }

    /// `list, { condition })`; without a condition what is not 0 counts.
    fn each(&mut self, ask: Ask) -> Read {
        let list = self.choice()?;
        let mut condition = Node::Element;
        if self.take(",") {
            self.expect("{")?;
            let before = std::mem::replace(&mut self.in_braces, true);
            condition = self.choice()?;
            self.in_braces = before;
            self.expect("}")?;
        }
        self.expect(")")?;
        Ok(Node::Each(ask, Box::new((list, condition))))
    }

    fn several(&mut self, end: &str) -> Result<Vec<Node>, FormulaError> {
        let mut all = Vec::new();
        if self.take(end) {
            return Ok(all);
        }
        loop {
            all.push(self.choice()?);
            if !self.take(",") {
                self.expect(end)?;
                return Ok(all);
            }
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        let formula = Formula::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let worth = |name: &String| match name.as_str() {
            "one" => 1.0,
            "two" => 2.0,
            _ => 3.0,
        };
        formula.value(&formula.names().iter().map(worth).collect::<Vec<_>>())
    }

    #[test]
    fn formulas_are_worth_what_they_say() {
        for (text, wanted) in [
            ("1 + 2 * three", 7.0),
            ("(one + two) * three", 9.0),
            ("10 - 3 - 2", 5.0),
            ("-two ** 2 + 1", 5.0),
            ("2 ** 3 ** 2", 512.0),
            ("7 % 4 / 2", 1.5),
            ("one > two ? 10 : two > one ? 20 : 30", 20.0),
            ("one == 1 and not (two < 2) ? 5 : 6", 5.0),
            ("!(one > 2) && two >= 2 || false", 1.0),
            ("max(one, two, three) - min([one, two])", 2.0),
            ("count([one, two, three], {# > 1}) > 1 ? 5 : 0", 5.0),
            ("sum([one, two, three]) / len([one, two])", 3.0),
            ("mean([1, 2, 6]) + median([1, 9, 2, 4])", 6.0),
            ("all([one, two], {# > 0}) ? ceil(1.2) : 0", 2.0),
            ("any([one, two], {# > 2}) ? 1 : round(2.5)", 3.0),
            ("nothing(1)", f64::NAN),
        ] {
            if wanted.is_nan() {
                assert!(Formula::parse(text).is_err());
                continue;
            }
            assert!((value(text) - wanted).abs() < 1e-9, "{text} is {}", value(text));
        }
        assert!(!value("1 / (one - 1)").is_finite());
        assert_eq!(Formula::parse("b + a + b").unwrap().names(), ["b", "a"]);
    }

    #[test]
    fn what_is_no_formula_is_told_with_its_place() {
        for (text, at, wanted) in [
            ("", 0, "ends where a number"),
            ("1 +", 3, "ends where a number"),
            ("(1 + 2", 6, "ends where \")\""),
            ("1 2", 2, "\"2\" is not expected"),
            ("a ? b", 5, "ends where \":\""),
            ("mac(1, 2)", 0, "no function is called \"mac\""),
            ("1.2.3", 0, "no number"),
            ("#", 0, "expected a number or a name"),
            ("ceil(1, 2)", 0, "ceil takes one number"),
        ] {
            let error = Formula::parse(text).unwrap_err();
            assert!(error.message.contains(wanted), "{text}: {error:?}");
            assert_eq!(error.at, at, "{text}: {error:?}");
        }
        assert!(Formula::parse(&"(".repeat(100_000)).is_err());
        for operator in ["+1", "**1", "<1", "&&1"] {
            let error = Formula::parse(&format!("1{}", operator.repeat(100_000))).unwrap_err();
            assert!(error.message.contains("more than 500 operators"), "{operator}: {error:?}");
            let longest = Formula::parse(&format!("1{}", operator.repeat(500))).unwrap();
            assert!(longest.value(&[]).is_finite(), "{operator}");
        }
    }
}
