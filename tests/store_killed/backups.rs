use crate::Scene;
pub(crate) const SCENES: [Scene; 0] = [];
