"""Secrets by hand: made, replaced and deleted. The form takes a value and never shows one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.safestring import SafeString
from pydantic import SecretStr

from jobs.models import Secret
from jobs.secrets.keeping import sealed
from jobs.secrets.values import LONGEST_BYTES, check_value

from .base import ModelAdmin
from .shown import ago


class NeverShown(forms.Textarea):
    """What was typed is not sent back, even with a form that has mistakes."""

    def format_value(self, value: Any) -> str:
        return ""


class SecretForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    value = forms.CharField(
        strip=False,
        widget=NeverShown({"rows": 4, "class": "vLargeTextField code", "spellcheck": "false", "autocomplete": "off"}),
        help_text=f"At most {LONGEST_BYTES // 1024} KiB. It is encrypted, and nobody can read it back here.",
    )

    class Meta:
        model = Secret
        fields = ("project", "name")

    def clean_value(self) -> SecretStr:
        # A browser sends CRLF, whatever was typed.
        text: str = self.cleaned_data["value"].replace("\r\n", "\n")
        try:
            return check_value(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


@admin.register(Secret)
class SecretAdmin(ModelAdmin[Secret]):
    form = SecretForm
    list_display = ("name", "project", "masked", "created_by", "changed", "used")
    list_filter = ("project",)
    list_select_related = ("project", "created_by")
    search_fields = ("name",)
    ordering = ("project__name", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Secret | None = None) -> tuple[str, ...]:
        """A secret is known by these: another one is another secret."""
        return ("project", "name") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Secret | None = None) -> tuple[str, ...]:
        return (
            ("project", "name", "value")
            if obj is None or self.has_change_permission(request, obj)
            else ("project", "name")
        )

    def save_model(self, request: HttpRequest, obj: Secret, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        for field, value in sealed(form.cleaned_data["value"]).items():
            setattr(obj, field, value)
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]  # the admin's users are
        super().save_model(request, obj, form, change)

    @admin.display(description="value changed", ordering="updated_at")
    def changed(self, secret: Secret) -> SafeString | str:
        return ago(secret.updated_at)

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, secret: Secret) -> SafeString | str:
        return ago(secret.last_used_at)
