//! The forms in which replies are compared: full-width, case, blanks and a closing 。 do not matter.

/// The longest code a request may ask for.
pub(in crate::rules) const LONGEST_CODE: usize = 6;

/// What people put before and behind the word they were asked to send.
const BEFORE: [&str; 9] = ["我要", "我想", "请", "回复", "回", "发送", "发", "申请", "短信"];
const BEHIND: [&str; 7] = ["谢谢", "谢了", "吧", "了", "啊", "THANKS", "PLEASE"];

/// A folded text in upper case, without blanks, and without what is no letter or digit at its ends.
pub(in crate::rules) fn compact(folded: &str) -> String {
    let text = folded.trim_matches(|c: char| !c.is_alphanumeric());
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
}

/// A compact word without what people put around it; the word itself where nothing would be left.
pub(in crate::rules) fn bare(word: &str) -> &str {
    let mut bare = word;
    loop {
        let before = BEFORE.iter().find_map(|before| bare.strip_prefix(before));
        let shorter = before.or_else(|| BEHIND.iter().find_map(|behind| bare.strip_suffix(behind)));
        let Some(shorter) = shorter.map(|text| text.trim_matches(|c: char| !c.is_alphanumeric())) else {
            return bare;
        };
        if shorter.is_empty() {
            return bare;
        }
        bare = shorter;
    }
}

/// What a word repeats, where it is nothing but repetition: 退订退订 is 退订.
pub(in crate::rules) fn repeated(word: &str) -> Option<&str> {
    let boundaries = word.char_indices().map(|(at, _)| at).skip(1);
    boundaries
        .take_while(|at| *at <= word.len() / 2)
        .filter(|at| word.len().is_multiple_of(*at))
        .map(|at| &word[..at])
        .find(|unit| unit.repeat(word.len() / unit.len()) == word)
}

/// The clauses of a folded text, in lower case; blanks stay only between two Latin words.
pub(in crate::rules) fn clauses(folded: &str) -> Vec<String> {
    let ends = |c: char| "，。！？；,.!?;、\n\r…~".contains(c);
    folded.split(ends).map(clause).filter(|clause| !clause.is_empty()).collect()
}

fn clause(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let seam = (out.chars().next_back(), word.chars().next());
        if let (Some(left), Some(right)) = seam
            && left.is_ascii()
            && right.is_ascii()
        {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_does_not_matter() {
        for text in ["td", " T D ", "“TD”。", "Td!", "(TD)", "td\u{3002}"] {
            assert_eq!(compact(text), "TD", "{text}");
        }
        assert_eq!(compact("。 ！"), "");
    }

    #[test]
    fn what_stands_around_a_word_goes() {
        assert_eq!(bare("回复TD谢谢"), "TD");
        assert_eq!(bare("请回R"), "R");
        assert_eq!(bare("发"), "发");
    }

    #[test]
    fn repetition_is_seen() {
        assert_eq!(repeated("退订退订退订"), Some("退订"));
        assert_eq!(repeated("NN"), Some("N"));
        assert_eq!(repeated("TD"), None);
        assert_eq!(repeated("T"), None);
    }

    #[test]
    fn clauses_keep_blanks_between_latin_words_only() {
        assert_eq!(clauses("Stop  it. 我要 退 订！ok"), ["stop it", "我要退订", "ok"]);
    }
}
