"""Running as a service: the processes of `etalon up`, who watches them, and the database they share.

What each process does is elsewhere (`orchestration.definitions`, `orchestration.worker`, …); here they are started, watched and ended.
"""
