//! Names of months and weekdays, abbreviated and in full, in the languages in which run-times
//! print them: English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Danish,
//! Norwegian, Polish and Czech.
//!
//! Source of the spellings: the `abbreviated` and `wide` forms of Unicode CLDR, and the older ones
//! of Java and glibc; without marks too, as terminals and programs drop them. A name that means
//! different months in two languages is left out.

use super::super::level::Pairs;
use super::parts;

/// The first and second letters of the names of weekdays, and their second and third.
const HEADS: Pairs = Pairs::new(
    b"cz di do fr gi je ju lu ma me mi mo nd ne ni on pi pn po pt qu sa se so st su te th ti to tu \
      ve vi vr we wo wt za zo",
);
const NECKS: Pairs = Pairs::new(
    b"aa ab am an ar at ed eg en er eu ex hu ie im in io ir is it ns ob oe om on or re ri ro te to \
      tv ua ue ui un zw",
);

/// The same of the names of months.
const MONTH_HEADS: Pairs = Pairs::new(
    b"ab ag ao ap au av cz de di du en fe ge gi gr ja ju kv kw le li lu ma me mr no oc ok ot \
      ou pa pr se si sr st wr",
);
const MONTH_NECKS: Pairs = Pairs::new(
    b"aa ae ag ai aj an ar ay br ct eb ec ed ei en ep er es et ev ez go ic ie ip is iu kt ne \
      no ou ov pr ro rp rt ru rz tt ty ub ug ui ul un ut vc vn vr wi ze",
);

/// The longest name, in bytes of UTF-8, is shorter than this.
const LONGEST: usize = 16;

/// What a month's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// 1 to 12.
    pub number: u8,
    /// The name is also a common word (`set`, `out`), and needs a year beside it.
    pub weak: bool,
}

/// Whether the word that begins a text can be the name of a month or a weekday, by its first letters.
#[inline]
pub fn may_be(bytes: &[u8]) -> bool {
    let behind = bytes.get(1..).unwrap_or_default();
    let two = !bytes
        .get(2)
        .is_some_and(|third| third.is_ascii_alphabetic() || *third >= 0x80);
    HEADS.may_have(bytes) && (two || NECKS.may_have(behind))
        || MONTH_HEADS.may_have(bytes) && MONTH_NECKS.may_have(behind)
}

/// Where the word at `at` ends: letters, those beyond ASCII included.
pub fn word_end(bytes: &[u8], at: usize) -> usize {
    bytes
        .iter()
        .skip(at)
        .position(|byte| !(byte.is_ascii_alphabetic() || *byte >= 0x80))
        .map_or(bytes.len(), |length| at + length)
}

/// The word in lower case, in place of an allocation.
struct Folded {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Folded {
    fn new(word: &str) -> Option<Self> {
        let mut folded = Self {
            bytes: [0; LONGEST],
            length: word.len(),
        };
        if word.is_ascii() {
            let target = folded.bytes.get_mut(..word.len())?;
            target.copy_from_slice(word.as_bytes());
            target.make_ascii_lowercase();
            return Some(folded);
        }
        folded.length = 0;
        for letter in word.chars().flat_map(char::to_lowercase) {
            let length = letter.len_utf8();
            let target = folded
                .bytes
                .get_mut(folded.length..folded.length + length)?;
            letter.encode_utf8(target);
            folded.length += length;
        }
        Some(folded)
    }

    fn as_str(&self) -> &str {
        self.bytes
            .get(..self.length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }
}

/// The month of a name in any case, without its dot.
pub fn month(word: &str) -> Option<Month> {
    if let Some(number) = parts::month(word.as_bytes()) {
        return Some(Month {
            number,
            weak: false,
        });
    }
    let bytes = word.as_bytes();
    if !(3..LONGEST).contains(&word.len())
        || !MONTH_HEADS.may_have(bytes)
        || !MONTH_NECKS.may_have(bytes.get(1..).unwrap_or_default())
    {
        return None;
    }
    let folded = Folded::new(word)?;
    let weak = |number| Month { number, weak: true };
    let number = match folded.as_str() {
        "gen" | "led" => return Some(weak(1)),
        "lut" => return Some(weak(2)),
        "dub" => return Some(weak(4)),
        "mag" => return Some(weak(5)),
        "lip" => return Some(weak(7)),
        "set" => return Some(weak(9)),
        "out" => return Some(weak(10)),
        "lis" => return Some(weak(11)),
        "pro" => return Some(weak(12)),
        "jan" | "january" | "januar" | "januari" | "jän" | "jänner" | "janv" | "janvier"
        | "ene" | "enero" | "gennaio" | "janeiro" | "sty" | "stycznia" | "styczeń" | "ledna"
        | "leden" => 1,
        "feb" | "february" | "februar" | "februari" | "feber" | "févr" | "fév" | "février"
        | "fevr" | "fevrier" | "febrero" | "febbraio" | "fev" | "fevereiro" | "lutego" | "luty"
        | "úno" | "února" | "únor" => 2,
        "mar" | "march" | "mär" | "märz" | "mrz" | "maerz" | "mars" | "marzo" | "março"
        | "marco" | "mrt" | "maart" | "marts" | "marca" | "marzec" | "bře" | "března"
        | "březen" => 3,
        "apr" | "april" | "avr" | "avril" | "abr" | "abril" | "aprile" | "kwi" | "kwietnia"
        | "kwiecień" | "dubna" | "duben" => 4,
        "may" | "mai" | "mayo" | "maggio" | "maio" | "mei" | "maj" | "maja" | "kvě" | "května"
        | "květen" => 5,
        "jun" | "june" | "juni" | "juin" | "junio" | "giu" | "giugno" | "junho" | "cze"
        | "czerwca" | "czerwiec" | "čvn" | "června" | "červen" => 6,
        "jul" | "july" | "juli" | "juil" | "juillet" | "julio" | "lug" | "luglio" | "julho"
        | "lipca" | "lipiec" | "čvc" | "července" | "červenec" => 7,
        "aug" | "august" | "août" | "aout" | "ago" | "agosto" | "augustus" | "augusti" | "sie"
        | "sierpnia" | "sierpień" | "srp" | "srpna" | "srpen" => 8,
        "sep" | "sept" | "september" | "septembre" | "septiembre" | "setiembre" | "settembre"
        | "setembro" | "wrz" | "września" | "wrzesień" | "zář" | "září" => 9,
        "oct" | "october" | "okt" | "oktober" | "octobre" | "octubre" | "ott" | "ottobre"
        | "outubro" | "paź" | "października" | "październik" | "říj" | "října" | "říjen" => {
            10
        }
        "nov" | "november" | "novembre" | "noviembre" | "novembro" | "listopada" | "listopad"
        | "listopadu" => 11,
        "dec" | "december" | "dez" | "dezember" | "déc" | "décembre" | "decembre" | "dic"
        | "diciembre" | "dicembre" | "dezembro" | "des" | "desember" | "gru" | "grudnia"
        | "grudzień" | "prosince" | "prosinec" => 12,
        _ => return None,
    };
    Some(Month {
        number,
        weak: false,
    })
}

/// Whether a word names a weekday. Which one is not asked: the date says it.
pub fn is_weekday(word: &str) -> bool {
    let bytes = word.as_bytes();
    let glance = HEADS.may_have(bytes)
        && (bytes.len() == 2 || NECKS.may_have(bytes.get(1..).unwrap_or_default()));
    if !glance || word.len() >= LONGEST {
        return false;
    }
    let Some(folded) = Folded::new(word) else {
        return false;
    };
    let folded = folded.as_str();
    folded.len() <= 4 && short_weekday(folded) || long_weekday(folded)
}

fn short_weekday(folded: &str) -> bool {
    matches!(
        folded,
        "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun" // English
            | "mo" | "di" | "mi" | "do" | "fr" | "sa" | "so" // German
            | "lun" | "mar" | "mer" | "jeu" | "ven" | "sam" | "dim" // French
            | "mié" | "mie" | "jue" | "vie" | "sáb" | "sab" | "dom" | "gio" // Spanish, Italian
            | "seg" | "ter" | "qua" | "qui" | "sex" // Portuguese
            | "ma" | "wo" | "vr" | "za" | "zo" // Dutch
            | "mån" | "man" | "tis" | "tir" | "ons" | "tor" | "fre" | "lör" | "lør" | "sön" | "søn"
            | "pon" | "wto" | "śr" | "śro" | "czw" | "pią" | "sob" | "nie" | "pt" | "cz" | "nd" | "wt" | "pn"
            | "po" | "út" | "st" | "čt" | "pá" | "ne"
    )
}

fn long_weekday(folded: &str) -> bool {
    matches!(
        folded,
        "monday"
            | "tuesday"
            | "wednesday"
            | "thursday"
            | "friday"
            | "saturday"
            | "sunday"
            | "tues"
            | "thur"
            | "thurs"
            | "montag"
            | "dienstag"
            | "mittwoch"
            | "donnerstag"
            | "freitag"
            | "samstag"
            | "sonnabend"
            | "sonntag"
            | "lundi"
            | "mardi"
            | "mercredi"
            | "jeudi"
            | "vendredi"
            | "samedi"
            | "dimanche"
            | "lunes"
            | "martes"
            | "miércoles"
            | "miercoles"
            | "jueves"
            | "viernes"
            | "sábado"
            | "sabado"
            | "domingo"
            | "lunedì"
            | "martedì"
            | "mercoledì"
            | "giovedì"
            | "venerdì"
            | "sabato"
            | "domenica"
            | "segunda"
            | "terça"
            | "quarta"
            | "quinta"
            | "sexta"
            | "maandag"
            | "dinsdag"
            | "woensdag"
            | "donderdag"
            | "vrijdag"
            | "zaterdag"
            | "zondag"
            | "måndag"
            | "tisdag"
            | "onsdag"
            | "torsdag"
            | "fredag"
            | "lördag"
            | "söndag"
            | "mandag"
            | "tirsdag"
            | "lørdag"
            | "søndag"
            | "poniedziałek"
            | "wtorek"
            | "środa"
            | "czwartek"
            | "piątek"
            | "sobota"
            | "niedziela"
            | "pondělí"
            | "úterý"
            | "středa"
            | "čtvrtek"
            | "pátek"
            | "neděle"
    )
}
