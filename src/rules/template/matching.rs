//! A text against one template, without going back on anything.
//!
//! Owns the walk over the pieces: after each, every place in the text that can be reached is
//! known, so the work is the length of the text for each piece, whatever the template.

use super::{Piece, Template, Variable};

/// A text made ready for matching.
pub(super) struct Subject<'t> {
    text: &'t str,
    chars: Vec<char>,
    /// Where each character begins; one more, for the end.
    offsets: Vec<usize>,
}

/// How far a template went along with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Progress {
    /// Characters of the text that were taken before it failed.
    pub(super) characters: usize,
    /// The piece that did not fit; the number of pieces where the text goes on behind the last.
    pub(super) piece: usize,
}

/// Places in a text, by character.
type Places = Vec<bool>;

impl<'t> Subject<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self { text, chars: text.chars().collect(), offsets }
    }

    /// What stands in the variables, as spans of the text, in order; or how far it went.
    pub(super) fn keep_to(&self, template: &Template) -> Result<Vec<(Variable, std::ops::Range<usize>)>, Progress> {
        let mut reached: Vec<Places> = Vec::with_capacity(template.pieces.len() + 1);
        let mut places = vec![false; self.offsets.len()];
        places[0] = true;
        for (index, piece) in template.pieces.iter().enumerate() {
            let next = self.after(piece, &places);
            let furthest = places.iter().rposition(|&place| place).unwrap_or_default();
            reached.push(places);
            if !next.contains(&true) {
                return Err(self.progress(piece, index, furthest, reached.last()));
            }
            places = next;
        }
        if !places[self.chars.len()] {
            let characters = places.iter().rposition(|&place| place).unwrap_or_default();
            return Err(Progress { characters, piece: template.pieces.len() });
        }
        Ok(self.trace(template, &reached))
    }

    /// How far: with the part of a fixed text that still agrees.
    fn progress(&self, piece: &Piece, index: usize, furthest: usize, places: Option<&Places>) -> Progress {
        let Piece::Fixed { text, .. } = piece else { return Progress { characters: furthest, piece: index } };
        let agrees = |at: usize| {
            let rest = &self.chars[at..];
            at + text.chars().zip(rest).take_while(|(wanted, found)| wanted == *found).count()
        };
        let places = places.into_iter().flatten().enumerate().filter(|(_, place)| **place);
        Progress { characters: places.map(|(at, _)| agrees(at)).max().unwrap_or(furthest), piece: index }
    }

    /// The places that can be reached over a piece.
    fn after(&self, piece: &Piece, places: &Places) -> Places {
        let mut next = vec![false; places.len()];
        let starts = places.iter().enumerate().filter(|(_, place)| **place).map(|(at, _)| at);
        match piece {
            Piece::Fixed { text, characters } => {
                for at in starts.filter(|&at| self.text[self.offsets[at]..].starts_with(text.as_str())) {
                    next[at + characters] = true;
                }
            }
            Piece::Variable(variable) if variable.shape.has_length() => self.over(variable, starts, &mut next),
            Piece::Variable(variable) => {
                for end in starts.filter_map(|at| self.measure(variable, at)) {
                    next[end] = true;
                }
            }
        }
        next
    }

    /// From every start a stretch of ends opens; their union in one walk.
    fn over(&self, variable: &Variable, starts: impl Iterator<Item = usize>, next: &mut Places) {
        let runs = self.runs(variable);
        let mut edges = vec![0_i32; next.len() + 1];
        for at in starts {
            let most = runs[at].min(variable.most);
            if variable.least <= most {
                edges[at + variable.least] += 1;
                edges[at + most + 1] -= 1;
            }
        }
        let mut open = 0;
        for (place, edge) in next.iter_mut().zip(edges) {
            open += edge;
            *place = open > 0;
        }
    }

    /// How many characters from each place on may stand in the variable.
    fn runs(&self, variable: &Variable) -> Vec<usize> {
        let mut runs = vec![0; self.offsets.len()];
        for at in (0..self.chars.len()).rev() {
            if variable.shape.holds(self.chars[at]) {
                runs[at] = runs[at + 1] + 1;
            }
        }
        runs
    }

    fn measure(&self, variable: &Variable, at: usize) -> Option<usize> {
        let end = self.offsets[at] + variable.shape.measure(&self.text[self.offsets[at]..])?;
        self.offsets.binary_search(&end).ok()
    }

    /// Back from the end over places that were reached.
    fn trace(&self, template: &Template, reached: &[Places]) -> Vec<(Variable, std::ops::Range<usize>)> {
        let mut spans = Vec::new();
        let mut end = self.chars.len();
        for (piece, places) in template.pieces.iter().zip(reached).rev() {
            match piece {
                Piece::Fixed { characters, .. } => end -= characters,
                Piece::Variable(variable) => {
                    let start = self.start(variable, places, end);
                    spans.push((*variable, self.offsets[start]..self.offsets[end]));
                    end = start;
                }
            }
        }
        spans.reverse();
        spans
    }

    /// A place from which the variable ends here; there is one, or the end would not have been reached.
    fn start(&self, variable: &Variable, places: &Places, end: usize) -> usize {
        if !variable.shape.has_length() {
            let from = |&at: &usize| places[at] && self.measure(variable, at) == Some(end);
            return (0..end).rev().find(from).unwrap_or(end);
        }
        let nearest = end.saturating_sub(variable.least);
        let furthest = end.saturating_sub(variable.most);
        let held = |at: usize| self.chars[at..end].iter().all(|&c| variable.shape.holds(c));
        (furthest..=nearest).rev().find(|&at| places[at] && held(at)).unwrap_or(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(template: &str, text: &str) -> Result<Vec<String>, Progress> {
        let template = Template::parse("t", None, template).unwrap();
        let spans = Subject::new(text).keep_to(&template)?;
        Ok(spans.into_iter().map(|(_, span)| text[span].to_owned()).collect())
    }

    #[test]
    fn variables_keep_to_type_and_length() {
        let template = "${name:chinese,1-8}您好，验证码${code:digits,4-6}，${m:number}分钟内有效";
        assert_eq!(keeps(template, "王小明您好，验证码4829，5分钟内有效").unwrap(), ["王小明", "4829", "5"]);
        for text in [
            "您好，验证码4829，5分钟内有效",
            "Wang您好，验证码4829，5分钟内有效",
            "王您好，验证码482，5分钟内有效",
            "王您好，验证码4829137，5分钟内有效",
            "王您好，验证码4829，5分钟内有效。",
            "王您好，验证码4829,5分钟内有效",
        ] {
            assert!(keeps(template, text).is_err(), "{text}");
        }
    }

    #[test]
    fn neighbouring_variables_share_what_there_is() {
        assert_eq!(keeps("到${any,1-3}${code:digits,2}止步", "到A1234止步").unwrap(), ["A12", "34"]);
        assert_eq!(keeps("到${any,0-5}${any,0-5}止步", "到止步止步").unwrap().concat(), "止步");
        assert!(keeps("到${any,0-3}${any,0-3}止步", "到1234567止步").is_err());
    }

    #[test]
    fn the_place_that_differs_is_known() {
        let template = "您好，验证码${code:digits,4-6}，勿告诉他人";
        assert_eq!(keeps(template, "您好，验证马1"), Err(Progress { characters: 5, piece: 0 }));
        assert_eq!(keeps(template, "您好，验证码abc"), Err(Progress { characters: 6, piece: 1 }));
        assert_eq!(keeps(template, "您好，验证码1234，勿告知"), Err(Progress { characters: 13, piece: 2 }));
        assert_eq!(keeps(template, "您好，验证码1234，勿告诉他人哦"), Err(Progress { characters: 16, piece: 3 }));
    }

    #[test]
    fn a_spiteful_template_takes_no_longer() {
        let template = format!("{}结束", "${any,0-500}".repeat(40));
        assert!(keeps(&template, &"啊".repeat(2_000)).is_err());
        assert!(keeps(&template, &format!("{}结束", "啊".repeat(2_000))).is_ok());
    }
}
