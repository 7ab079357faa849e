//! The words before the colon: severities, and what begins a further part of a message.
//!
//! PostgreSQL translates both when `lc_messages` says so.
//!
//! Source: <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-SEVERITY-LEVELS>.

use atalaya_domain::record::Level;

/// What such a word begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A record.
    Severity(Level),
    /// A part of the record before it; its name in jsonlog.
    Part(&'static str),
}

/// What a word means, and whether it is English.
pub fn meaning(word: &str) -> Option<(Meaning, bool)> {
    use Meaning::{Part, Severity};
    let english = match word {
        "LOG" | "NOTICE" | "INFO" => Severity(Level::Info),
        "ERROR" => Severity(Level::Error),
        "FATAL" | "PANIC" => Severity(Level::Critical),
        "WARNING" => Severity(Level::Warning),
        "DEBUG" | "DEBUG1" | "DEBUG2" | "DEBUG3" | "DEBUG4" | "DEBUG5" => Severity(Level::Debug),
        "DETAIL" => Part("detail"),
        "HINT" => Part("hint"),
        "CONTEXT" => Part("context"),
        "STATEMENT" => Part("statement"),
        "QUERY" => Part("internal_query"),
        "LOCATION" => Part("location"),
        "BACKTRACE" => Part("backtrace"),
        _ => return translated(word).map(|meaning| (meaning, false)),
    };
    Some((english, true))
}

/// German, French, Spanish, Portuguese, Italian and Russian.
fn translated(word: &str) -> Option<Meaning> {
    use Meaning::{Part, Severity};
    Some(match word {
        "FEHLER" | "ERREUR" | "ERRO" | "ERRORE" | "ОШИБКА" => Severity(Level::Error),
        "FATALE" | "ВАЖНО" | "PANIK" | "PÁNICO" | "PANICO" | "PANIQUE" | "ПАНИКА" => {
            Severity(Level::Critical)
        }
        "WARNUNG" | "ATTENTION" | "ADVERTENCIA" | "ATTENZIONE" | "ПРЕДУПРЕЖДЕНИЕ" => {
            Severity(Level::Warning)
        }
        "HINWEIS" | "AVISO" | "NOTIFICA" | "СООБЩЕНИЕ" | "ЗАМЕЧАНИЕ" => {
            Severity(Level::Info)
        }
        "DÉTAIL" | "DETALLE" | "DETALHE" | "DETTAGLI" | "ПОДРОБНОСТИ" => Part("detail"),
        "TIPP" | "ASTUCE" | "SUGERENCIA" | "DICA" | "SUGGERIMENTO" | "ПОДСКАЗКА" => {
            Part("hint")
        }
        "ZUSAMMENHANG" | "KONTEXT" | "CONTEXTE" | "CONTEXTO" | "CONTESTO" | "КОНТЕКСТ" => {
            Part("context")
        }
        "ANWEISUNG" | "INSTRUCTION" | "SENTENCIA" | "COMANDO" | "ISTRUZIONE" | "ОПЕРАТОР" => {
            Part("statement")
        }
        "ANFRAGE" | "REQUÊTE" | "CONSULTA" | "ЗАПРОС" => Part("internal_query"),
        _ => return None,
    })
}
