//! The files of the page.

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Names the files of this folder with their media types.
macro_rules! files {
    ($($name:literal $kind:ident)*) => {
        [$(($name, $kind, include_str!($name))),*]
    };
}

const FILES: &[(&str, &str, &str)] = &files! {
    "index.html" HTML
    "icon.svg" IMAGE
    "base.css" STYLE
    "layout.css" STYLE
    "secrets.css" STYLE
    "rotation.css" STYLE
    "theme.js" SCRIPT
    "tips.js" SCRIPT
    "main.js" SCRIPT
    "state.js" SCRIPT
    "dom.js" SCRIPT
    "format.js" SCRIPT
    "secret_list.js" SCRIPT
    "secret.js" SCRIPT
    "versions.js" SCRIPT
    "rotation.js" SCRIPT
    "time_axis.js" SCRIPT
    "events_table.js" SCRIPT
    "log.js" SCRIPT
    "news.js" SCRIPT
    "keyboard.js" SCRIPT
};

/// Returns the media type and the text of a file.
pub(super) fn find(name: &str) -> Option<(&'static str, &'static str)> {
    let found = FILES.iter().find(|(known, ..)| *known == name)?;
    Some((found.1, found.2))
}
