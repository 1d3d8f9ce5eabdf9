from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=100, null=True)  # noqa: DJ001  # so that rows may be in the way of a rollback
    currency = models.ForeignKey("customers.Currency", models.SET_NULL, null=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)


class Review(models.Model):
    product = models.ForeignKey(Product, models.CASCADE)
    text = models.CharField(max_length=100)
