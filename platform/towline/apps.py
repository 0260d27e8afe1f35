from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangosAdminConfig


class TowlineConfig(AppConfig):
    name = "towline"
    verbose_name = "Towline"


class AdminConfig(DjangosAdminConfig):
    default_site = "towline.admin.Site"
