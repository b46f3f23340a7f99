"""OCPP 2.0.1. `dialect` is the way in; `fields` are the types that several messages share."""
