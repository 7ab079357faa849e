//! What a user can ask for: the vocabulary of keys, palette and help. Each action has a name (used
//! in `[console.keys]` and shown in the palette) and one line that says what it does.
//!
//! The table below is what several screens share. An action that no other tab has is an [`Own`] of
//! that tab; to go to a tab is an action of each that is registered.

use std::borrow::Cow;

use super::ask::TabId;

/// An action of one tab only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Own {
    pub name: &'static str,
    pub help: &'static str,
    /// One or two words for the hint line.
    pub hint: &'static str,
}

/// An [`Own`] as an action.
pub const fn own(name: &'static str, help: &'static str, hint: &'static str) -> Action {
    Action::Own(Own { name, help, hint })
}

macro_rules! actions {
    ($($(#[$group:meta])* $name:ident = $word:literal, $help:literal;)*) => {
        /// One thing that a user can ask for. What it does is [`Action::help`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$group])* #[doc = $help] $name,)*
            /// To a tab.
            Tab(TabId),
            Own(Own),
        }

        impl Action {
            /// Those that the screens share.
            pub const SHARED: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the configuration and the palette.
            pub fn name(self) -> Cow<'static, str> {
                match self {
                    $(Self::$name => $word.into(),)*
                    Self::Tab(id) => format!("tab_{}", id.name()).into(),
                    Self::Own(own) => own.name.into(),
                }
            }

            /// One line for help and palette.
            pub fn help(self) -> Cow<'static, str> {
                match self {
                    $(Self::$name => $help.into(),)*
                    Self::Tab(id) => format!("{} tab", id.title()).into(),
                    Self::Own(own) => own.help.into(),
                }
            }
        }
    };
}

actions! {
    // Everywhere.
    Help = "help", "help for this screen";
    Palette = "palette", "commands";
    Back = "back", "one level back";
    Close = "close", "back; at the top level, quit";
    Interrupt = "interrupt", "cancel; a second time, quit";
    Quit = "quit", "quit";
    HistoryBack = "history_back", "back in the drill-down history";
    HistoryForward = "history_forward", "forward in the drill-down history";
    NextPanel = "next_panel", "next panel";
    PreviousPanel = "previous_panel", "previous panel";
    Zone = "zone", "local time or UTC";
    Mouse = "mouse", "mouse on or off";
    Reload = "reload", "read again now";
    Redraw = "redraw", "repaint the screen";
    Suspend = "suspend", "suspend (fg brings it back)";
    NextTheme = "next_theme", "next theme";

    // Moving.
    Down = "down", "down";
    Up = "up", "up";
    HalfPageDown = "half_page_down", "half a page down";
    HalfPageUp = "half_page_up", "half a page up";
    PageDown = "page_down", "page down";
    PageUp = "page_up", "page up";
    First = "first", "first";
    Last = "last", "last; in a live list, follow again";
    Left = "left", "to the left";
    Right = "right", "to the right";
    Open = "open", "open what is under the cursor";

    // Searching and filtering.
    Search = "search", "search, with highlight";
    NextHit = "next_hit", "next hit";
    PreviousHit = "previous_hit", "previous hit";
    Filter = "filter", "filter (query language)";
    ClearFilter = "clear_filter", "remove the filter";

    // Logs.
    Trace = "trace", "trace of the request under the cursor";
    FilterRequest = "filter_request", "filter by the request under the cursor";
    NextSameRequest = "next_same_request", "next record of the same request";
    PreviousSameRequest = "previous_same_request", "previous record of the same request";
    NextError = "next_error", "next error";
    PreviousError = "previous_error", "previous error";
    NextWarning = "next_warning", "next warning";
    PreviousWarning = "previous_warning", "previous warning";
    Bookmark = "bookmark", "set or remove a bookmark";
    NextBookmark = "next_bookmark", "next bookmark";
    PreviousBookmark = "previous_bookmark", "previous bookmark";
    Pause = "pause", "pause the live list, or go on";
    Follow = "follow", "follow the newest records, or stop";
    Histogram = "histogram", "histogram: full, small, hidden";
    ZoomIn = "zoom_in", "histogram: shorter range";
    ZoomOut = "zoom_out", "histogram: longer range";
    RangeBack = "range_back", "histogram: earlier range";
    RangeForward = "range_forward", "histogram: later range";
    Details = "details", "details of the record";
    ContextLines = "context", "lines around the record, unfiltered";
    NextGap = "next_gap", "next gap of the trace";
    PreviousGap = "previous_gap", "previous gap of the trace";
    AddTrace = "add_trace", "add this request to the trace";
    Copy = "copy", "copy what is under the cursor";
    CopyNote = "copy_note", "copy an incident note (Markdown)";
    GoToTime = "go_to_time", "go to a time";

    Patterns = "patterns", "equal messages folded, with a count";
    SavedQueries = "saved_queries", "saved queries and earlier filters";
    SaveQuery = "save_query", "save the filter under a name";
    RemoveQuery = "remove_query", "remove the saved query";

    // Of a measured figure.
    Explain = "explain", "the rows and the rule behind the number";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, action) in Action::SHARED.iter().enumerate() {
            assert!(!action.help().is_empty());
            assert!(
                Action::SHARED[index + 1..]
                    .iter()
                    .all(|other| other.name() != action.name())
            );
        }
    }
}
