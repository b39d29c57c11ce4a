//! What all objects have in common, as slim types.

use std::borrow::Cow;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::domain::{Interner, Kind, Labels, Timestamp};

/// A string that borrows from the JSON where it can.
pub type Str<'a> = Cow<'a, str>;

/// Null is as good as absent: clients in Go write both.
pub fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// A map of strings, kept as pairs: small, and sorted later.
#[derive(Debug, Default)]
pub struct Pairs<'a>(pub Vec<(Str<'a>, Str<'a>)>);

impl Pairs<'_> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_ref())
    }

    /// As shared labels.
    pub fn labels(&self, interner: &mut Interner) -> Labels {
        interner.labels(self.0.iter().map(|(k, v)| (k.as_ref(), v.as_ref())))
    }
}

#[derive(Deserialize)]
struct CowStr<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for V<'a> {
            type Value = Pairs<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Pairs::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((CowStr(k), CowStr(v))) = map.next_entry()? {
                    out.push((k, v));
                }
                Ok(Pairs(out))
            }
        }
        d.deserialize_any(V(std::marker::PhantomData))
    }
}

/// An owner reference.
#[derive(Debug, Default, Deserialize)]
pub struct Owner<'a> {
    /// Kind.
    #[serde(borrow, default)]
    pub kind: Str<'a>,
    /// Name.
    #[serde(borrow, default)]
    pub name: Str<'a>,
    /// The one that controls.
    #[serde(default)]
    pub controller: Option<bool>,
}

/// An object's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta<'a> {
    /// Name.
    #[serde(borrow, default)]
    pub name: Str<'a>,
    /// Namespace.
    #[serde(borrow, default)]
    pub namespace: Str<'a>,
    /// Uid.
    #[serde(borrow, default)]
    pub uid: Str<'a>,
    /// When it was created.
    #[serde(default)]
    pub creation_timestamp: Option<Timestamp>,
    /// When it is to be gone.
    #[serde(default)]
    pub deletion_timestamp: Option<Timestamp>,
    /// Grows with changes of the spec.
    #[serde(default)]
    pub generation: i64,
    /// Labels.
    #[serde(borrow, default)]
    pub labels: Pairs<'a>,
    /// Annotations.
    #[serde(borrow, default)]
    pub annotations: Annotations<'a>,
    /// Owners.
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub owner_references: Vec<Owner<'a>>,
}

/// The few annotations that are shown.
#[derive(Debug, Default, Deserialize)]
pub struct Annotations<'a> {
    /// A deployment's or replica set's revision.
    #[serde(borrow, default, rename = "deployment.kubernetes.io/revision")]
    pub revision: Str<'a>,
}

impl Meta<'_> {
    /// The controller's kind and name.
    pub fn owner(&self) -> (Kind, &str) {
        self.owner_references
            .iter()
            .find(|o| o.controller == Some(true))
            .map_or((Kind::Other, ""), |o| (Kind::from_kubernetes(&o.kind), o.name.as_ref()))
    }
}

/// Any object.
#[derive(Debug, Deserialize)]
pub struct Object<'a> {
    /// Its metadata.
    #[serde(borrow)]
    pub metadata: Meta<'a>,
}

/// Namespace and name of an object that could not be read, if that much can.
pub fn name_of(json: &str) -> String {
    #[derive(Deserialize)]
    struct Named {
        metadata: Names,
    }
    #[derive(Deserialize)]
    struct Names {
        #[serde(default)]
        name: String,
        #[serde(default)]
        namespace: String,
    }
    serde_json::from_str::<Named>(json).map_or_else(
        |_| "without a name".to_owned(),
        |n| crate::domain::Text::new(&format!("{}/{}", n.metadata.namespace, n.metadata.name)).to_string(),
    )
}

/// A status condition.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition<'a> {
    /// Type.
    #[serde(borrow, default, rename = "type")]
    pub kind: Str<'a>,
    /// `True`, `False` or `Unknown`.
    #[serde(borrow, default)]
    pub status: Str<'a>,
    /// Reason.
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub reason: Str<'a>,
    /// Message.
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub message: Str<'a>,
    /// Since when.
    #[serde(default)]
    pub last_transition_time: Option<Timestamp>,
}

/// The condition of a type.
pub fn condition<'c, 'a>(all: &'c [Condition<'a>], kind: &str) -> Option<&'c Condition<'a>> {
    all.iter().find(|c| c.kind == kind)
}
