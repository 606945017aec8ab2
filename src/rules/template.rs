//! Filed templates: a text with typed variables, to which a sender's messages keep.
//!
//! Owns the notation (`您的验证码是${code:digits,4-6}，${any,0-20}`), the matching of a text
//! against one template and, through [`Templates`], against the thousands that a sender may have
//! filed. Refuses to know senders and verdicts. Driven by `register`, which reads, and by R20.

mod index;
mod matching;
mod notation;
mod shape;

pub use index::{Kept, Nearest, Outcome, Templates};
pub use notation::{LONGEST_TEXT, MOST_VARIABLES};
use shape::Shape;

use super::fold::fold;
use super::signature::signatures;
use super::{Class, scorer};

/// How many points are worth a warning when a template is filed: what a profile asks of a text, as a rule.
const PROMOTING: u32 = 4;

/// What may stand in a variable of any characters, and is no sentence yet. More is worth a warning.
const ROOMY: usize = 30;

/// One filed template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its number or name at the filing.
    pub id: String,
    /// What its messages are, where the filing says so.
    pub class: Option<Class>,
    /// The signature it was filed with, without brackets; none where any of the sender's may stand.
    signature: Option<String>,
    pieces: Vec<Piece>,
}

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Stands in every message as it is.
    Fixed { text: String, characters: usize },
    /// Differs from message to message.
    Variable(Variable),
}

/// What may stand in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variable {
    shape: Shape,
    /// Length in characters; what has a form of its own is as long as it is.
    least: usize,
    most: usize,
}

impl Template {
    /// Reads a template's text; the error says what is wrong with it.
    pub fn parse(id: &str, class: Option<Class>, text: &str) -> Result<Self, String> {
        let text = text.trim_ascii();
        let (signature, body) = match signatures(text).label {
            Some(label) if !label.name.contains("${") => (Some(label.name.to_owned()), label.rest.trim_ascii()),
            _ => (None, text),
        };
        let pieces = notation::pieces(body)?;
        Ok(Self { id: id.to_owned(), class, signature, pieces })
    }

    /// The signature it was filed with, without brackets.
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// The terms by which its own words promote, where it is not filed as commercial.
    pub fn promotes(&self) -> Option<String> {
        let score = scorer::score(&fold(&self.fixed_text()));
        let promotes = self.class.is_some_and(|class| class != Class::Commercial) && score.points >= PROMOTING;
        promotes.then(|| scorer::explain(&score))
    }

    /// How long its longest variable of any characters is, where that leaves room for another message
    /// in it, and it is not filed as commercial.
    pub fn roomy(&self) -> Option<usize> {
        let lengths = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) if variable.shape == Shape::Any => Some(variable.most),
            _ => None,
        });
        let longest = lengths.max().filter(|most| *most > ROOMY);
        longest.filter(|_| self.class.is_some_and(|class| class != Class::Commercial))
    }

    /// The texts that stand in every message.
    fn fixed(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Fixed { text, .. } => Some(text.as_str()),
            Piece::Variable(_) => None,
        })
    }

    /// All that stands in every message, as one text: what the filing itself says.
    fn fixed_text(&self) -> String {
        let blank = |piece: &Piece| match piece {
            Piece::Fixed { text, .. } => text.clone(),
            Piece::Variable(variable) => variable.shape.example().to_owned(),
        };
        self.pieces.iter().map(blank).collect()
    }

    /// The fixed text it begins with, and the one it ends with.
    fn ends(&self) -> (Option<&str>, Option<&str>) {
        let fixed = |piece: Option<&Piece>| matches!(piece, Some(Piece::Fixed { .. }));
        let head = self.fixed().next().filter(|_| fixed(self.pieces.first()));
        let tail = self.fixed().next_back().filter(|_| fixed(self.pieces.last()));
        (head, tail)
    }
}
