//! Jobs and cron jobs.

use serde_json::{Value, json};

use super::cron::Schedule;
use super::meta::{Ms, Obj, Owner, Ref, set_condition, time};
use super::pod::Phase;
use super::template::Template;
use super::world::{Controller, Due, World};
use crate::sim::backend::ObjectKind;

impl World {
    pub fn sync_job(&mut self, at: &Ref) {
        let Some(c) = self.controllers.get(at) else { return };
        if c.finished.is_some() {
            return;
        }
        let (uid, template, profile) = (c.meta.uid, c.template.clone(), c.profile.clone());
        let completions = c.spec["completions"].as_i64().unwrap_or(1);
        let (parallel, limit) = (c.replicas.max(0), c.spec["backoffLimit"].as_i64().unwrap_or(6));
        let suspended = c.spec["suspend"] == true;
        let (mut good, mut bad) = (0, 0);
        for p in self.all_pods(uid).iter().filter_map(|id| self.pods.get(id)) {
            good += i64::from(p.phase == Phase::Succeeded);
            bad += i64::from(p.phase == Phase::Failed);
        }
        let Some(c) = self.controllers.get_mut(at) else { return };
        c.succeeded = c.succeeded.max(good);
        c.failed = c.failed.max(bad);
        let (good, bad) = (c.succeeded, c.failed);
        let active = self.active_pods(uid);
        if suspended || bad > limit || good >= completions {
            for id in &active {
                self.delete_pod(*id);
            }
        } else {
            let want = parallel.min(completions - good);
            for _ in active.len() as i64..want {
                let name = format!("{}-{}", at.name, self.rng.suffix(5));
                let me = Owner { at: at.clone(), uid };
                let labels = vec![
                    ("batch.kubernetes.io/controller-uid", super::rng::uuid(uid)),
                    ("batch.kubernetes.io/job-name", at.name.to_string()),
                    ("job-name", at.name.to_string()),
                ];
                self.add_pod(&at.ns, &name, &template, &profile, Some(me), labels);
                self.object_event(at, "Normal", "SuccessfulCreate", &format!("Created pod: {name}"));
            }
        }
        self.job_status(at, uid, completions, limit);
    }

    fn job_status(&mut self, at: &Ref, uid: u128, completions: i64, limit: i64) {
        let pods = self.active_pods(uid);
        let ready = pods.iter().filter(|id| self.pods.get(id).is_some_and(|p| p.ready)).count();
        let now = self.now;
        let Some(c) = self.controllers.get_mut(at) else { return };
        let done = c.succeeded >= completions;
        let over = !done && c.failed > limit;
        let mut status = Obj::new();
        status.insert("startTime".into(), time(c.progress).into());
        if !pods.is_empty() && !done && !over {
            status.insert("active".into(), pods.len().into());
        }
        status.insert("ready".into(), if done || over { 0 } else { ready }.into());
        if c.succeeded > 0 {
            status.insert("succeeded".into(), c.succeeded.into());
        }
        if c.failed > 0 {
            status.insert("failed".into(), c.failed.into());
        }
        status.insert("terminating".into(), 0.into());
        status.insert("uncountedTerminatedPods".into(), json!({}));
        if done {
            status.insert("completionTime".into(), time(now).into());
            set_condition(
                &mut c.conditions,
                now,
                "SuccessCriteriaMet",
                true,
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            );
            set_condition(
                &mut c.conditions,
                now,
                "Complete",
                true,
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            );
        } else if over {
            let message = "Job has reached the specified backoff limit";
            set_condition(&mut c.conditions, now, "FailureTarget", true, "BackoffLimitExceeded", message);
            set_condition(&mut c.conditions, now, "Failed", true, "BackoffLimitExceeded", message);
        } else if c.spec["suspend"] == true {
            set_condition(&mut c.conditions, now, "Suspended", true, "JobSuspended", "Job suspended");
        }
        if done || over {
            c.finished = Some(now);
        }
        let changed = c.status != status;
        c.status = status;
        let owner = c.meta.owner.as_ref().map(|o| o.at.clone());
        if changed {
            self.touch_object(at);
        }
        if done {
            self.object_event(at, "Normal", "Completed", "Job completed");
        } else if over {
            self.object_event(at, "Warning", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        if let Some(o) = owner {
            self.enqueue(&o);
        }
    }

    /// A cron job's status, and its history within its limits.
    pub fn sync_cron_job(&mut self, at: &Ref) {
        let Some(c) = self.controllers.get(at) else { return };
        let uid = c.meta.uid;
        let keep = |k: &str, d: u64| c.spec[k].as_u64().unwrap_or(d) as usize;
        let (good_limit, bad_limit) = (keep("successfulJobsHistoryLimit", 3), keep("failedJobsHistoryLimit", 1));
        let (mut active, mut good, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let mut last_good = None;
        for job in self.children_of(uid) {
            let Some(j) = self.controllers.get(&job) else { continue };
            match j.finished {
                None => active.push(json!({"kind": "Job", "apiVersion": "batch/v1", "name": &*job.name,
                    "namespace": &*job.ns, "uid": super::rng::uuid(j.meta.uid)})),
                Some(t) if j.conditions.iter().any(|c| c["type"] == "Complete") => {
                    last_good = last_good.max(Some(t));
                    good.push((j.meta.created, job));
                }
                Some(_) => bad.push((j.meta.created, job)),
            }
        }
        for (list, limit) in [(&mut good, good_limit), (&mut bad, bad_limit)] {
            list.sort();
            let extra = list.len().saturating_sub(limit);
            for (_, job) in list.drain(..extra) {
                self.remove_object(&job);
            }
        }
        let Some(c) = self.controllers.get_mut(at) else { return };
        let mut status = Obj::new();
        if !active.is_empty() {
            status.insert("active".into(), active.into());
        }
        if let Some(t) = c.finished {
            status.insert("lastScheduleTime".into(), time(t).into());
        }
        let before = c.status.get("lastSuccessfulTime").cloned();
        if let Some(v) = last_good.map(|t| Value::from(time(t))).or(before) {
            status.insert("lastSuccessfulTime".into(), v);
        }
        if c.status != status {
            c.status = status;
            self.touch_object(at);
        }
    }

    /// Arms a cron job's next run.
    pub fn arm_cron(&mut self, at: &Ref) {
        let Some(c) = self.controllers.get(at) else { return };
        let Some(schedule) = c.spec["schedule"].as_str().and_then(Schedule::parse) else { return };
        if let Some(next) = schedule.next(self.now) {
            self.at(next, Due::Cron(at.clone()));
        }
    }

    /// A cron job's time has come, if it still has this schedule.
    pub fn fire_cron(&mut self, at: &Ref) {
        let now = self.now;
        let Some(c) = self.controllers.get(at) else { return };
        let Some(schedule) = c.spec["schedule"].as_str().and_then(Schedule::parse) else { return };
        // After a change of schedule two alarms are armed: only the present schedule's rings, and once a minute.
        if !schedule.matches(now) || c.finished.is_some_and(|t| now - t < 60_000) {
            if c.finished.is_none_or(|t| now - t >= 60_000) {
                self.arm_cron(at);
            }
            return;
        }
        self.arm_cron(at);
        let Some(c) = self.controllers.get(at) else { return };
        if c.spec["suspend"] == true {
            return;
        }
        let busy: Vec<Ref> = self
            .children_of(c.meta.uid)
            .into_iter()
            .filter(|j| self.controllers.get(j).is_some_and(|j| j.finished.is_none()))
            .collect();
        if !busy.is_empty() {
            match c.spec["concurrencyPolicy"].as_str() {
                Some("Forbid") => {
                    let m = "Not starting job because prior execution is running and concurrency policy is Forbid";
                    self.object_event(at, "Normal", "JobAlreadyActive", m);
                    return;
                }
                Some("Replace") => {
                    for j in busy {
                        self.remove_object(&j);
                    }
                }
                _ => {}
            }
        }
        let name = self.new_job(at, now);
        if let Some(c) = self.controllers.get_mut(at) {
            c.finished = Some(now);
        }
        if let Some(name) = name {
            self.object_event(at, "Normal", "SuccessfulCreate", &format!("Created job {name}"));
        }
        self.enqueue(at);
    }

    /// The job of a cron job's run at `scheduled`.
    pub fn new_job(&mut self, at: &Ref, scheduled: Ms) -> Option<String> {
        let c = self.controllers.get(at)?;
        let (owner, profile, template) =
            (Owner { at: at.clone(), uid: c.meta.uid }, c.profile.clone(), c.spec["jobTemplate"].clone());
        let name = format!("{}-{}", at.name, scheduled / 60_000);
        let job = Ref::new(ObjectKind::Job, &at.ns, &name);
        if self.controllers.contains_key(&job) {
            return None;
        }
        let labels = super::meta::map_of(&template["metadata"]["labels"]);
        let mut meta = self.meta(job, labels, Some(owner));
        let annotation = "batch.kubernetes.io/cronjob-scheduled-timestamp";
        meta.annotations.insert(annotation.into(), time(scheduled).into());
        let job = self.make_job(meta, template["spec"].clone(), profile);
        self.add_controller(job);
        Some(name)
    }

    /// A job with its defaults and its selector.
    pub fn make_job(
        &mut self,
        meta: super::meta::Meta,
        mut spec: Value,
        profile: std::sync::Arc<super::profile::Profile>,
    ) -> Controller {
        if !spec.is_object() {
            spec = json!({});
        }
        let uid = super::rng::uuid(meta.uid);
        for (k, v) in [("parallelism", json!(1)), ("completions", json!(1)), ("backoffLimit", json!(6))] {
            if spec[k].is_null() {
                spec[k] = v;
            }
        }
        spec["completionMode"] = "NonIndexed".into();
        if spec["suspend"].is_null() {
            spec["suspend"] = false.into();
        }
        spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
        super::template::default_template(&mut spec["template"]);
        if spec["template"]["spec"]["restartPolicy"] == "Always" {
            spec["template"]["spec"]["restartPolicy"] = "Never".into();
        }
        for (k, v) in [
            ("batch.kubernetes.io/controller-uid", uid.as_str()),
            ("batch.kubernetes.io/job-name", &meta.at.name),
            ("controller-uid", &uid),
            ("job-name", &meta.at.name),
        ] {
            spec["template"]["metadata"]["labels"][k] = v.into();
        }
        let parallel = spec["parallelism"].as_i64().unwrap_or(1);
        let template = std::sync::Arc::new(Template::parse(&spec["template"]));
        Controller::new(meta, spec, template, profile, parallel, self.now)
    }
}
