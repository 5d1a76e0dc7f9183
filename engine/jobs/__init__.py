"""Jobs: commands of launch.py that run detached, one after another, and are found again by anybody at any time.

``queue`` is for who wants something done: add, list, stop, reorder, remove. ``worker`` is the process that does it; it
needs no screen and no terminal, and ends when there is nothing left. ``progress`` is for the command itself: how far it
is. ``job`` and ``console`` read what a job's folder says. Everything they know of each other lies in files below
``home()/jobs``; whoever is killed leaves them whole, and the next one goes on from there.

    jobs/<id>/job.json        what is to be done: kind, title, words (the command's arguments), made, result (a folder)
    jobs/<id>/state.json      state, place in the queue, pid, create_time, boot_time, boot_id, began, ended, exit_status
    jobs/<id>/console.log     what the command printed
    jobs/<id>/progress.json   done, total, words, when it was counted (written by the command)
    jobs/<id>/exit.json       the exit status (written by the command as it ends: its worker may be gone by then)
    jobs/<id>/STOP            somebody has asked the command to stop
    jobs/queue.lock           held for the moment in which a queue is changed
    jobs/worker.lock          held by the worker as long as it lives
"""
