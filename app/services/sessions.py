"""The open pages of this process, by Gradio's session key; forgotten when long unused. No page is shared or guessed."""

from __future__ import annotations

import secrets
import threading
import time

from app.services.state import Kind, Notice, Session

MOST = 16
FORGET_AFTER = 24 * 3600.0
NOTICES = 12


class Sessions:
    """Sessions by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def get(self, key: str) -> Session:
        """The session of this page; a new one for a new key."""
        now = time.monotonic()
        with self._lock:
            session = self._sessions.setdefault(key, Session(key))
            session.used_at = now
            if len(self._sessions) > MOST:
                idle = [other for other in self._sessions.values() if other.job is None and other is not session]
                for other in sorted(idle, key=lambda one: one.used_at)[: len(self._sessions) - MOST]:
                    del self._sessions[other.key]
            return session

    def adopt(self, key: str, before: str) -> Session:
        """The session of a page that was reloaded: what its tab had open under its key ``before`` is shown again."""
        session = self.get(key)
        with self._lock:
            old = self._sessions.get(before)
        if old is None or old is session or time.monotonic() - old.used_at > FORGET_AFTER:
            return session
        with old.lock, session.lock:
            if session.case is None:
                session.case, session.report, session.job = old.case, old.report, old.job
                session.indication, session.history = old.indication, old.history
                session.notices, session.question, session.exports = old.notices, old.question, old.exports
        return session

    def all(self) -> tuple[Session, ...]:
        """Every session at hand."""
        with self._lock:
            return tuple(self._sessions.values())


def turn_to(session: Session, topic: str) -> None:
    """The reader does something about ``topic``: what was said about it before is answered by that, and goes."""
    session.topic = topic
    session.notices = tuple(notice for notice in session.notices if notice.topic != topic)


def notify(session: Session, text: str, kind: Kind = "problem") -> None:
    """Show one sentence about what is being done; the same sentence is not shown twice. Hold the session's lock."""
    if any(notice.text == text for notice in session.notices):
        return
    notice = Notice(secrets.token_hex(4), text, kind, session.topic)
    session.notices = (*session.notices, notice)[-NOTICES:]
