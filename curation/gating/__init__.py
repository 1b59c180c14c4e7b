"""The gate as stages of Spark: what is known of images is joined, matched images are filtered, copies come together.

Spark evaluates and joins, in rows of a few numbers. Images themselves do not travel, but copies to the image that stays
for them: what is known of an image comes to the task that reads its file, in the order of the file.
"""
