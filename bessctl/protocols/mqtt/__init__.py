"""MQTT telemetry: the plant's measurements to one or many brokers, over a spool on disk; commands the other way where they are switched on.

messages/   wire <-> typed: measurements, commands, discovery of a home automation
session/    what may be sent when, what a broker's answers mean, which command counts; no I/O, time and randomness handed in
transport/  the MQTT client, TLS, credentials; no decisions
binding/    snapshots -> measurements, spool in the store, commands -> plans; here signs, units and clocks are turned

Entry points: `config.MqttConfig`, `binding.run.run_mqtt`.
"""
