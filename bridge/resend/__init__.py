"""Re-send: attempts of the history are written to ``<group>.again``, one by one or in bulk as a job.

``query`` and ``entries`` decide what is written, ``selection`` in which order. ``runner`` carries out a job,
``job_store`` reads and changes jobs, ``single`` sends a few attempts without a job. ``follow`` and
``forward`` are for a developer who looks at live attempts.
"""
