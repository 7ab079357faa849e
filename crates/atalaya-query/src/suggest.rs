//! "Did you mean …?": the known name that is most like a mistyped one.

/// Below this likeness (Jaro-Winkler, 0 to 1) two names are two names. A letter too many, too few
/// or swapped stays above it; another word of the same length does not.
const LIKE: f64 = 0.8;

/// The one of `known` that `name` was probably meant to be; case plays no part.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_found_and_another_word_is_not() {
        let known = ["level", "source", "nginx-access"];
        assert_eq!(nearest("levle", known), Some("level"));
        assert_eq!(nearest("SOURCE", known), Some("source"));
        assert_eq!(nearest("nginx-acces", known), Some("nginx-access"));
        assert_eq!(nearest("weather", known), None);
        assert_eq!(nearest("level", []), None);
    }
}
