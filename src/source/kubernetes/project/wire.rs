//! Pods and nodes from protobuf, into the same slim types as from JSON.
//!
//! Field numbers are those of `generated.proto` in `k8s.io/api/core/v1` and
//! `k8s.io/apimachinery`; a number is never reused for something else there.

use super::super::protobuf::{Fields, Malformed, Value};
use super::meta::{Condition, Meta, Owner, Pairs, Str};
use super::{node, pod};
use crate::domain::Timestamp;

type Read<T> = Result<T, Malformed>;

/// A message read field by field.
fn message<'a, T: Default>(value: Value<'a>, mut field: impl FnMut(&mut T, u32, Value<'a>) -> Read<()>) -> Read<T> {
    let mut out = T::default();
    for read in Fields::of(value.bytes()?) {
        let (tag, value) = read?;
        field(&mut out, tag, value)?;
    }
    Ok(out)
}

/// A `Time`. Zero is how an unset one is written.
fn time(value: Value<'_>) -> Read<Option<Timestamp>> {
    let (seconds, nanos) = message(value, |t: &mut (i64, u32), tag, v| {
        match tag {
            1 => t.0 = v.signed()?,
            2 => t.1 = v.count()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Timestamp::from_timestamp(seconds, nanos).filter(|_| seconds != 0))
}

/// One entry of a map of strings.
fn pair<'a>(pairs: &mut Pairs<'a>, value: Value<'a>) -> Read<()> {
    let entry = message(value, |entry: &mut (Str<'a>, Str<'a>), tag, v| {
        match tag {
            1 => entry.0 = v.text()?,
            2 => entry.1 = v.text()?,
            _ => {}
        }
        Ok(())
    })?;
    pairs.0.push(entry);
    Ok(())
}

/// One entry of a map of quantities.
fn amount<'a>(pairs: &mut Pairs<'a>, value: Value<'a>) -> Read<()> {
    let entry = message(value, |entry: &mut (Str<'a>, Str<'a>), tag, v| {
        match tag {
            1 => entry.0 = v.text()?,
            2 => {
                entry.1 = message(v, |text: &mut Str<'a>, tag, v| {
                    if tag == 1 {
                        *text = v.text()?;
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    pairs.0.push(entry);
    Ok(())
}

/// An `ObjectMeta`. Pods' and nodes' annotations are not shown, so not read.
pub(super) fn meta(value: Value<'_>) -> Read<Meta<'_>> {
    message(value, |meta: &mut Meta<'_>, tag, v| {
        match tag {
            1 => meta.name = v.text()?,
            3 => meta.namespace = v.text()?,
            5 => meta.uid = v.text()?,
            7 => meta.generation = v.signed()?,
            8 => meta.creation_timestamp = time(v)?,
            9 => meta.deletion_timestamp = time(v)?,
            11 => pair(&mut meta.labels, v)?,
            13 => meta.owner_references.push(message(v, |owner: &mut Owner<'_>, tag, v| {
                match tag {
                    1 => owner.kind = v.text()?,
                    3 => owner.name = v.text()?,
                    6 => owner.controller = Some(v.flag()?),
                    _ => {}
                }
                Ok(())
            })?),
            _ => {}
        }
        Ok(())
    })
}

/// The metadata of an object of any kind.
pub(super) fn object(bytes: &[u8]) -> Read<Meta<'_>> {
    message(Value::Bytes(bytes), |out: &mut Meta<'_>, tag, v| {
        if tag == 1 {
            *out = meta(v)?;
        }
        Ok(())
    })
}

/// A `PodCondition` or a `NodeCondition`: what we read is numbered alike.
fn condition(value: Value<'_>) -> Read<Condition<'_>> {
    message(value, |c: &mut Condition<'_>, tag, v| {
        match tag {
            1 => c.kind = v.text()?,
            2 => c.status = v.text()?,
            4 => c.last_transition_time = time(v)?,
            5 => c.reason = v.text()?,
            6 => c.message = v.text()?,
            _ => {}
        }
        Ok(())
    })
}

/// A `Pod`.
pub(super) fn pod(bytes: &[u8]) -> Read<pod::Pod<'_>> {
    message(Value::Bytes(bytes), |pod: &mut pod::Pod<'_>, tag, v| {
        match tag {
            1 => pod.metadata = meta(v)?,
            2 => pod.spec = message(v, pod_spec)?,
            3 => pod.status = message(v, pod_status)?,
            _ => {}
        }
        Ok(())
    })
}

fn pod_spec<'a>(spec: &mut pod::Spec<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        2 => spec.containers.push(message(v, container)?),
        4 => spec.grace = Some(v.signed()?),
        10 => spec.node_name = v.text()?,
        20 => spec.init_containers.push(message(v, container)?),
        32 => amount(&mut spec.overhead, v)?,
        _ => {}
    }
    Ok(())
}

fn container<'a>(c: &mut pod::ContainerSpec<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        1 => c.name = v.text()?,
        2 => c.image = v.text()?,
        8 => {
            c.resources = message(v, |r: &mut pod::Requirements<'a>, tag, v| match tag {
                1 => amount(&mut r.limits, v),
                2 => amount(&mut r.requests, v),
                _ => Ok(()),
            })?;
        }
        24 => c.restart_policy = v.text()?,
        _ => {}
    }
    Ok(())
}

fn pod_status<'a>(status: &mut pod::Status<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        1 => status.phase = v.text()?,
        2 => status.conditions.push(condition(v)?),
        3 => status.message = v.text()?,
        4 => status.reason = v.text()?,
        6 => status.pod_ip = v.text()?,
        8 => status.container_statuses.push(message(v, container_status)?),
        9 => status.qos_class = v.text()?,
        10 => status.init_container_statuses.push(message(v, container_status)?),
        _ => {}
    }
    Ok(())
}

fn container_status<'a>(c: &mut pod::ContainerStatus<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        1 => c.name = v.text()?,
        2 => c.state = message(v, state)?,
        3 => c.last_state = message(v, state)?,
        4 => c.ready = v.flag()?,
        5 => c.restart_count = v.count()?,
        9 => c.started = Some(v.flag()?),
        _ => {}
    }
    Ok(())
}

fn state<'a>(state: &mut pod::State<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        1 => {
            state.waiting = Some(message(v, |why: &mut pod::Why<'a>, tag, v| {
                match tag {
                    1 => why.reason = v.text()?,
                    2 => why.message = v.text()?,
                    _ => {}
                }
                Ok(())
            })?);
        }
        2 => state.running = Some(serde::de::IgnoredAny),
        3 => state.terminated = Some(message(v, terminated)?),
        _ => {}
    }
    Ok(())
}

fn terminated<'a>(why: &mut pod::Why<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        1 => why.exit_code = v.int()?,
        2 => why.signal = v.int()?,
        3 => why.reason = v.text()?,
        4 => why.message = v.text()?,
        6 => why.finished_at = time(v)?,
        _ => {}
    }
    Ok(())
}

/// A `Node`.
pub(super) fn node(bytes: &[u8]) -> Read<node::NodeObject<'_>> {
    message(Value::Bytes(bytes), |node: &mut node::NodeObject<'_>, tag, v| {
        match tag {
            1 => node.metadata = meta(v)?,
            2 => node.spec = message(v, node_spec)?,
            3 => node.status = message(v, node_status)?,
            _ => {}
        }
        Ok(())
    })
}

fn node_spec<'a>(spec: &mut node::Spec<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        3 => spec.provider_id = v.text()?,
        4 => spec.unschedulable = v.flag()?,
        5 => spec.taints.push(message(v, |taint: &mut node::Taint<'a>, tag, v| {
            match tag {
                1 => taint.key = v.text()?,
                2 => taint.value = v.text()?,
                3 => taint.effect = v.text()?,
                _ => {}
            }
            Ok(())
        })?),
        _ => {}
    }
    Ok(())
}

fn node_status<'a>(status: &mut node::Status<'a>, tag: u32, v: Value<'a>) -> Read<()> {
    match tag {
        2 => amount(&mut status.allocatable, v)?,
        4 => status.conditions.push(condition(v)?),
        5 => status.addresses.push(message(v, |address: &mut node::Address<'a>, tag, v| {
            match tag {
                1 => address.kind = v.text()?,
                2 => address.address = v.text()?,
                _ => {}
            }
            Ok(())
        })?),
        7 => {
            status.node_info = message(v, |info: &mut node::Info<'a>, tag, v| {
                match tag {
                    5 => info.os_image = v.text()?,
                    6 => info.container_runtime_version = v.text()?,
                    7 => info.kubelet_version = v.text()?,
                    _ => {}
                }
                Ok(())
            })?;
        }
        _ => {}
    }
    Ok(())
}
