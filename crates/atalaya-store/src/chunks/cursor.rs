//! The cursor of a follower: what is inside is the store's own and nobody else's.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// How far a follower has read the arrivals of a store. Opaque: only the store that gave it can
/// read it; everybody may clone it (cheap) and compare it for equality.
#[derive(Clone)]
pub struct ArrivalCursor(Arc<dyn Erased>);

impl ArrivalCursor {
    /// Wraps what a store wants to find again.
    pub fn new<T: Any + fmt::Debug + PartialEq + Send + Sync>(state: T) -> Self {
        Self(Arc::new(state))
    }

    /// What the store put inside; `None` when the cursor is of another kind of store.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.inside().downcast_ref()
    }
}

impl PartialEq for ArrivalCursor {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.inside())
    }
}

impl fmt::Debug for ArrivalCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("ArrivalCursor")
            .field(&self.0)
            .finish()
    }
}

/// A value whose type was erased, still comparable.
trait Erased: fmt::Debug + Send + Sync {
    fn inside(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Any + fmt::Debug + PartialEq + Send + Sync> Erased for T {
    fn inside(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_only_by_its_own_store_and_compared_by_what_is_inside() {
        let cursor = ArrivalCursor::new(7_i64);
        assert_eq!(cursor.get::<i64>(), Some(&7));
        assert_eq!(cursor.get::<u64>(), None);
        assert_eq!(cursor, ArrivalCursor::new(7_i64));
        assert_ne!(cursor, ArrivalCursor::new(8_i64));
        assert_ne!(cursor, ArrivalCursor::new(7_u64));
    }
}
