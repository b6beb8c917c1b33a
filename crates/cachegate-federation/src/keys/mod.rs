//! The key sets of anchors: discovered, fetched, kept and renewed.
