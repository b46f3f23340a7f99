"""The MQTT client toward a broker. Takes no decision."""
