"""Events that could not be delivered: parked, held lanes, and redrives.

``letter``, ``hold`` and ``resend_request`` are pure rules. ``topic``, ``hold_topic`` and ``store`` use the
broker. ``park``, ``lane_holds`` and ``redrive`` decide when to write.
"""
