//! What became of a container whose log has ended.

use serde_json::Value;

/// What a pod's status says of one of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// This is another pod of the same name.
    Replaced,
    /// The pod has no container of that name.
    Unknown,
    /// It runs, or did: its log can be read.
    Runs(Run),
    /// It does not run now, and will again; or it has not begun.
    Waits {
        /// Why, in Kubernetes' words; may be empty.
        reason: String,
        /// Its last instance, if there was one.
        last: Option<Run>,
    },
    /// It has ended and will not run again.
    Over(Run),
}

/// One instance of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// How many came before it.
    pub(super) restarts: u32,
    /// How it ended if it has, else how the one before it did.
    pub(super) exit: Option<i64>,
    /// "Previous" is the log of the one before it. Of a container that waits it is
    /// the log of the last one, which is its log as well.
    pub(super) before: bool,
}

/// Reads the fate of `container` (empty: of the only one) off a pod whose uid
/// was `uid` (empty: not known).
pub(super) fn fate(pod: &Value, uid: &str, container: &str) -> Fate {
    if !uid.is_empty() && pod["metadata"]["uid"].as_str().is_some_and(|now| now != uid) {
        return Fate::Replaced;
    }
    let is_ours = |c: &&Value| container.is_empty() || c["name"] == container;
    let find = |part: &str, lists: [&'static str; 3]| {
        let lists = lists.map(|l| pod[part][l].as_array().and_then(|all| all.iter().find(is_ours)).map(|c| (l, c)));
        lists.into_iter().flatten().next()
    };
    let status = find("status", ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]);
    let spec = find("spec", ["containers", "initContainers", "ephemeralContainers"]);
    let Some((list, status)) = status else {
        if spec.is_none() && pod["spec"]["containers"].is_array() {
            return Fate::Unknown;
        }
        return Fate::Waits { reason: String::new(), last: None };
    };
    let restarts = status["restartCount"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let before = &status["lastState"]["terminated"];
    let exit = |ended: &Value| ended["exitCode"].as_i64();
    let state = &status["state"];
    if state["running"].is_object() {
        return Fate::Runs(Run { restarts, exit: exit(before), before: true });
    }
    let ended = &state["terminated"];
    if ended.is_object() {
        let run = Run { restarts, exit: exit(ended), before: true };
        let spec = spec.map_or(&Value::Null, |(_, c)| c);
        let again = runs_again(pod, list, spec, run.exit);
        let reason = ended["reason"].as_str().unwrap_or_default().to_owned();
        return if again { Fate::Waits { reason, last: Some(run) } } else { Fate::Over(run) };
    }
    let reason = state["waiting"]["reason"].as_str().unwrap_or_default().to_owned();
    let last = before.is_object().then(|| Run { restarts, exit: exit(before), before: false });
    Fate::Waits { reason, last }
}

/// True for an init container: that it is done is how every pod begins.
pub(super) fn is_init(pod: &Value, container: &str) -> bool {
    let list = pod["status"]["initContainerStatuses"].as_array();
    !container.is_empty() && list.is_some_and(|all| all.iter().any(|c| c["name"] == container))
}

/// Whether the kubelet will start a container again that ended with `exit`.
fn runs_again(pod: &Value, list: &str, spec: &Value, exit: Option<i64>) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") || list == "ephemeralContainerStatuses" {
        return false;
    }
    let sidecar = spec["restartPolicy"] == "Always";
    match (list, pod["spec"]["restartPolicy"].as_str().unwrap_or("Always")) {
        _ if sidecar => true,
        (_, "Never") => false,
        ("initContainerStatuses", _) | (_, "OnFailure") => exit != Some(0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(policy: &str, restarts: u32, state: &Value) -> Value {
        json!({"metadata": {"uid": "u"}, "spec": {"restartPolicy": policy, "containers": [{"name": "c"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": restarts, "state": state,
                "lastState": {"terminated": {"exitCode": 7}}}]}})
    }

    #[test]
    fn what_ends_for_good_and_what_comes_again() {
        let ended = |exit: i64| json!({"terminated": {"exitCode": exit, "reason": "Error"}});
        let over = |policy, exit| matches!(fate(&pod(policy, 0, &ended(exit)), "u", "c"), Fate::Over(_));
        assert_eq!([over("Always", 0), over("Always", 1)], [false, false]);
        assert_eq!([over("OnFailure", 0), over("OnFailure", 1)], [true, false]);
        assert_eq!([over("Never", 0), over("Never", 1)], [true, true]);
    }

    #[test]
    fn which_instance_it_is() {
        let running = pod("Always", 3, &json!({"running": {}}));
        assert_eq!(fate(&running, "u", "c"), Fate::Runs(Run { restarts: 3, exit: Some(7), before: true }));
        assert_eq!(fate(&running, "another", "c"), Fate::Replaced);
        let waiting = pod("Always", 3, &json!({"waiting": {"reason": "CrashLoopBackOff"}}));
        let last = Some(Run { restarts: 3, exit: Some(7), before: false });
        assert_eq!(fate(&waiting, "", ""), Fate::Waits { reason: "CrashLoopBackOff".into(), last });
        let pending = json!({"metadata": {}, "status": {"phase": "Pending"}});
        assert_eq!(fate(&pending, "u", "c"), Fate::Waits { reason: String::new(), last: None });
        assert_eq!(fate(&running, "u", "d"), Fate::Unknown);
    }
}
