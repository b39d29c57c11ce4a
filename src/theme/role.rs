//! THE table of roles: what a colour can be for.

/// How readable a role must be against the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legibility {
    /// Text to be read: contrast of 4.5 at least.
    Text,
    /// Text in the background of attention: 3 at least.
    Dim,
    /// Not text.
    Graphic,
}

/// One row of the table.
#[derive(Debug)]
pub struct RoleInfo {
    /// The role.
    pub role: Role,
    /// Its name in theme files.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// The role whose style it takes when a theme does not say.
    pub fallback: Option<Role>,
    /// How readable it must be.
    pub legibility: Legibility,
}

macro_rules! roles {
    ($($variant:ident, $name:literal, $fallback:expr, $legibility:ident, $doc:literal;)*) => {
        /// What something on screen is, as far as its look goes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role {
            $(#[doc = $doc] $variant,)*
        }

        /// Every role.
        pub static ROLES: &[RoleInfo] = &[
            $(RoleInfo {
                role: Role::$variant,
                name: $name,
                doc: $doc,
                fallback: $fallback,
                legibility: Legibility::$legibility,
            },)*
        ];
    };
}

roles! {
    Background, "background", None, Graphic, "The whole screen, laid down first: background, and text's colour.";
    Text, "text", None, Text, "Ordinary text.";
    Dim, "dim", Some(Role::Text), Dim, "Text that matters less: units, separators, old rows.";
    Muted, "muted", Some(Role::Dim), Dim, "Text that hardly matters: placeholders, what is absent.";
    Accent, "accent", Some(Role::Text), Text, "The product's own colour.";
    Title, "title", Some(Role::Accent), Text, "The title of a view or pane.";
    Border, "border", Some(Role::Muted), Graphic, "Lines around panes.";
    BorderFocused, "border-focused", Some(Role::Accent), Graphic, "Lines around the focused pane.";
    HeaderBar, "header-bar", Some(Role::Text), Text, "The header.";
    HeaderKey, "header-key", Some(Role::Dim), Dim, "A label in the header.";
    HeaderValue, "header-value", Some(Role::Text), Text, "A value in the header.";
    TableHeader, "table-header", Some(Role::Dim), Dim, "Column titles.";
    TableHeaderSorted, "table-header-sorted", Some(Role::Accent), Text, "The title of the column that sorts.";
    RowSelected, "row-selected", Some(Role::Text), Text, "The selected row.";
    RowMarked, "row-marked", Some(Role::Accent), Text, "A marked row.";
    RowCursor, "row-cursor", Some(Role::Accent), Graphic, "The sign before the selected row.";
    Match, "match", Some(Role::Accent), Text, "What a filter or search found in a text.";
    HintKey, "hint-key", Some(Role::Accent), Text, "A key in the hint bar, help and popups.";
    HintLabel, "hint-label", Some(Role::Dim), Dim, "What the key does.";
    Prompt, "prompt", Some(Role::Accent), Text, "The prompt of palette, filter and search.";
    Popup, "popup", Some(Role::Text), Text, "The inside of a popup.";
    PopupTitle, "popup-title", Some(Role::Title), Text, "The title of a popup.";
    BannerInfo, "banner-info", Some(Role::Accent), Text, "A message: for information.";
    BannerWarning, "banner-warning", Some(Role::HealthWarning), Text, "A message: look at it.";
    BannerCritical, "banner-critical", Some(Role::HealthCritical), Text, "A message: act on it.";
    HealthOk, "health-ok", Some(Role::Text), Text, "Healthy.";
    HealthDone, "health-done", Some(Role::Dim), Dim, "Finished, as meant.";
    HealthProgressing, "health-progressing", Some(Role::Accent), Text, "On its way.";
    HealthUnknown, "health-unknown", Some(Role::Dim), Dim, "Nobody knows.";
    HealthWarning, "health-warning", Some(Role::Text), Text, "Not as it should be.";
    HealthCritical, "health-critical", Some(Role::HealthWarning), Text, "Broken.";
    FreshLive, "fresh-live", Some(Role::HealthOk), Text, "A source that is up to date.";
    FreshLoading, "fresh-loading", Some(Role::HealthProgressing), Text, "A source that has not answered yet.";
    FreshStale, "fresh-stale", Some(Role::HealthWarning), Text, "A source whose data grows old.";
    FreshDown, "fresh-down", Some(Role::HealthCritical), Text, "A source that fails.";
    FreshAbsent, "fresh-absent", Some(Role::Muted), Dim, "A source that the cluster does not have.";
    FreshDenied, "fresh-denied", Some(Role::HealthWarning), Text, "A source that may not be read.";
    Spark, "spark", Some(Role::Accent), Graphic, "Sparklines.";
    GaugeLow, "gauge-low", Some(Role::HealthOk), Graphic, "A gauge with room to spare.";
    GaugeMid, "gauge-mid", Some(Role::HealthWarning), Graphic, "A gauge that gets full.";
    GaugeHigh, "gauge-high", Some(Role::HealthCritical), Graphic, "A gauge that is full.";
    LogTime, "log-time", Some(Role::Dim), Dim, "The time of a log line.";
    LogSource1, "log-source-1", Some(Role::Accent), Text, "The first source of a log.";
    LogSource2, "log-source-2", Some(Role::LogSource1), Text, "The second source of a log.";
    LogSource3, "log-source-3", Some(Role::LogSource1), Text, "The third source of a log.";
    LogSource4, "log-source-4", Some(Role::LogSource2), Text, "The fourth source of a log.";
    LogSource5, "log-source-5", Some(Role::LogSource1), Text, "The fifth source of a log.";
    LogSource6, "log-source-6", Some(Role::LogSource2), Text, "The sixth source of a log.";
    LogError, "log-error", Some(Role::HealthCritical), Text, "A log line that says error.";
    LogWarn, "log-warn", Some(Role::HealthWarning), Text, "A log line that says warning.";
    YamlKey, "yaml-key", Some(Role::Accent), Text, "A key in YAML.";
    YamlString, "yaml-string", Some(Role::Text), Text, "A text in YAML.";
    YamlNumber, "yaml-number", Some(Role::Text), Text, "A number, boolean or null in YAML.";
    YamlComment, "yaml-comment", Some(Role::Dim), Dim, "A comment in YAML.";
    Cluster, "cluster", Some(Role::Accent), Text, "A cluster's name.";
    Production, "production", Some(Role::HealthCritical), Text, "The name of a cluster marked as production; the word itself is the reverse of it.";
    ClusterRed, "cluster-red", Some(Role::Cluster), Text, "The name of a cluster with `accent = \"red\"`.";
    ClusterOrange, "cluster-orange", Some(Role::Cluster), Text, "The name of a cluster with `accent = \"orange\"`.";
    ClusterYellow, "cluster-yellow", Some(Role::Cluster), Text, "The name of a cluster with `accent = \"yellow\"`.";
    ClusterGreen, "cluster-green", Some(Role::Cluster), Text, "The name of a cluster with `accent = \"green\"`.";
    ClusterBlue, "cluster-blue", Some(Role::Cluster), Text, "The name of a cluster with `accent = \"blue\"`.";
    ClusterViolet, "cluster-violet", Some(Role::Cluster), Text, "The name of a cluster with `accent = \"violet\"`.";
    Spot, "spot", Some(Role::Accent), Text, "Spot capacity.";
    Link, "link", Some(Role::Accent), Text, "What can be opened.";
}

impl Role {
    /// Its row of the table.
    #[must_use]
    pub fn info(self) -> &'static RoleInfo {
        &ROLES[self as usize]
    }

    /// Its name in theme files.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The role called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ROLES.iter().find(|r| r.name == name).map(|r| r.role)
    }
}
